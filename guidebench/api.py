"""The Python face: compare guides on a model from a script or a notebook."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from guidebench.config import make_config
from guidebench.contracts import Problem
from guidebench.registry import load_registry
from guidebench.results import Comparison
from guidebench.selection import choose_guides


def compare(
    model: Callable[..., Any],
    *args: Any,
    guides: Sequence[str] | str = ("default",),
    predict: Mapping[str, Any] | None = None,
    heldout: Mapping[str, Any] | None = None,
    truth: Mapping[str, Any] | None = None,
    name: str | None = None,
    recipe: str | None = None,
    optimizer: str | None = None,
    learning_rate: float | None = None,
    steps: int | None = None,
    restarts: int | None = None,
    particles: int | None = None,
    loss: str | None = None,
    init: str | None = None,
    draws: int | None = None,
    seed: int | None = None,
    reference: str | Path | Mapping[str, Any] | None = None,
    simulations: int | None = None,
    x64: bool | None = None,
    **kwargs: Any,
) -> Comparison:
    """Train guides on one model and compare them.

    Parameters
    ----------
    model : callable
        A NumPyro model.
    *args, **kwargs
        Its training arguments, observations included.
    guides : sequence of str
        Guide names with options, as for ``guidebench run -g``.
    predict : mapping, optional
        Arguments, by name, that replace the training ones when predicting.
    heldout : mapping, optional
        Arguments, by name, of data that take no part in training.
    truth : mapping, optional
        True values of latent sites, where the data were simulated.
    name : str, optional
        What the problem is called; the model's name by default.
    recipe, optimizer, learning_rate, steps, restarts, particles, loss, init, draws, seed
        As the options of ``guidebench run``; ``None`` takes the default.
    reference : str, Path or mapping, optional
        What the guides are measured against: as the option of ``guidebench run``, or draws by latent
        site, each of shape ``(draws, ...)`` or, to have their convergence checked, ``(chains, draws, ...)``.
    simulations : int, optional
        Data sets to draw from the model and to fit every guide to, for the true coverage of its intervals.
    x64 : bool, optional
        Whether to compute in float64 throughout; outside of this call nothing changes.

    Returns
    -------
    Comparison
        Every fit, with its draws and scores.

    Raises
    ------
    RequestError
        Where the request is wrong; what goes wrong inside a fit is recorded in it instead.

    Examples
    --------
    >>> import guidebench as gb
    >>> comparison = gb.compare(model, x, y=y, guides=["auto_normal"])  # doctest: +SKIP
    >>> comparison.summary()  # doctest: +SKIP
    """
    from guidebench import engine

    slug = re.sub(r"[^a-z0-9]+", "-", getattr(model, "__name__", "").lower()).strip("-0123456789")
    label = name or slug or "model"
    problem = Problem(name=label, model=model, args=args, kwargs=kwargs, predict=predict, heldout=heldout, truth=truth)
    given = reference if isinstance(reference, Mapping) else None
    config = make_config(
        {
            "problems": (label,),
            "guides": (guides,) if isinstance(guides, str) else tuple(guides),
            "recipe": recipe,
            "optimizer": optimizer,
            "learning_rate": learning_rate,
            "steps": steps,
            "restarts": restarts,
            "particles": particles,
            "loss": loss,
            "init": init,
            "draws": draws,
            "seed": seed,
            "simulations": simulations,
            "x64": x64,
            "reference": None if reference is None or given is not None else str(reference),
        }
    )
    if given is not None:
        config = config.model_copy(update={"reference": "given"})
    registry = load_registry()
    return engine.compare(label, [problem], choose_guides(registry, config.guides), config, registry, given=given)
