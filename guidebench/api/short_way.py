"""The short way from a model to draws of its posterior that can be used."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from guidebench.analysis.recommendation import recommend
from guidebench.analysis.usable import usable, with_way
from guidebench.api import comparing
from guidebench.config import make_config
from guidebench.config.errors import GuidebenchError, RequestError, in_python
from guidebench.contracts import Problem
from guidebench.engine.progress import watch
from guidebench.inference.device import threads
from guidebench.request.find_plugins import find_plugins
from guidebench.request.loading.problem import adapted

if TYPE_CHECKING:
    from guidebench.results.inference_data import InferenceData


def posterior(
    model: Callable[..., Any] | Problem | str,
    *args: Any,
    guides: Any = comparing.DEFAULT,
    seed: int | None = None,
    draws: int | None = None,
    x64: bool | None = None,
    plugins: str | ModuleType | Sequence[str | ModuleType] = (),
    progress: bool | None = None,
    **kwargs: Any,
) -> InferenceData | None:
    """Return draws of a model's posterior that can be used, won in the cheapest way that does.

    First those that are made of what a search finds, without training, by a mixture about it or by groups of chains
    that begin at it; then those of one guide after the other, from cheap to dear, each judged and repaired as in any
    run, and of NUTS, which comes before them where the groups of chains did not settle.  The first that pass are taken.

    Parameters
    ----------
    model : callable, Problem or str
        As for :func:`guidebench.compare`.
    *args, **kwargs
        The model's arguments, observations included.
    guides : str, Guide, class, callable, or a sequence of these
        As for :func:`guidebench.compare`; their order does not matter.
    seed, draws, x64 : optional
        As the options of ``guidebench run``.
    plugins : str, module, or a sequence of these
        As for :func:`guidebench.compare`.
    progress : bool, optional
        As for :func:`guidebench.compare`.

    Returns
    -------
    InferenceData or None
        The attributes of its group ``posterior`` say what the draws are, as those of :meth:`Comparison.posterior`;
        ``won`` how they were won and what that cost beside NUTS; ``gradients`` and ``densities`` of the log joint that
        it took.  ``None``, with a warning that says why, where nothing can be used.

    Raises
    ------
    RequestError
        Where the request is wrong.

    Examples
    --------
    >>> import guidebench as gb
    >>> draws = gb.posterior(model, x, y=y)  # doctest: +SKIP
    >>> draws["posterior"].attrs["won"]  # doctest: +SKIP
    """
    threads.enough()
    try:
        local = (plugins,) if isinstance(plugins, (str, ModuleType)) else tuple(plugins)
        registry = find_plugins(local, running=True)
        chosen = comparing._guides(registry, comparing._listed(guides))
        parts = dict.fromkeys(("predict", "heldout", "observed", "truth", "coords", "name"))
        own = {"guides": None, "seed": seed, "draws": draws, "x64": x64, "minibatch": None, "posteriordb": None}
        problem = comparing._problem(registry, model, args, kwargs, parts, own)
        config = make_config(
            {
                "problems": (problem.name if isinstance(model, str) else f"{problem.name} (from Python)",),
                "guides": tuple(one.label for one in chosen),
                "seed": seed,
                "draws": draws,
                "x64": x64,
                "until": "trusted",
            }
        )
        from guidebench.engine.request import Request
        from guidebench.engine.until import until_trusted
        from guidebench.results.inference_data import arviz_meanwhile

        request = Request(
            name=problem.name, problems=(adapted(problem, config),), guides=chosen, config=config, registry=registry
        )
        arviz_meanwhile()
        with watch(progress) as watcher:
            found = until_trusted(request, progress=watcher, warn=comparing._warn)
    except RequestError as error:
        raise error.spelled(in_python) from error.__cause__
    except GuidebenchError as error:
        raise RequestError(str(error)) from error.__cause__
    (record,) = found.problems
    data = usable(found.fits, record, found.references.get(record.name), config.seed)
    if data is None:
        why = recommend(found.fits, record) if found.fits else record.reference_note
        warnings.warn(f"{record.name}: {record.notes[-1]} {why}", UserWarning, stacklevel=2)
        return None
    return with_way(data, record, found.fits)
