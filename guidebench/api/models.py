"""Models against each other: runs on the same data, by what each predicts of rows it has not seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from guidebench.analysis.models.scored import Candidate, Scored, candidates, same_data, scored
from guidebench.config.errors import RequestError
from guidebench.results import Comparison

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "elpd_loo",
    "se",
    "difference",
    "se_difference",
    "p_loo",
    "guide",
    "log_evidence",
    "elpd_heldout",
    "crps_heldout",
)


def compare_models(models: Mapping[str, Comparison] | Comparison) -> pd.DataFrame:
    """Compare models by the runs that were made of them on the same data.

    Parameters
    ----------
    models : mapping of str to Comparison, or Comparison
        By what each model is to be called; each a run of one problem.  Or one run of several problems.

    Returns
    -------
    DataFrame
        A row per model, the best first: ``elpd_loo`` with ``se`` (nats, PSIS-LOO), ``difference`` from the best with
        ``se_difference``, ``p_loo``, the ``guide`` it is from, ``log_evidence`` where it is known within 0.1 nat, and
        ``elpd_heldout`` and ``crps_heldout`` where the same rows were held out.  What is not known is missing;
        ``attrs["reasons"]`` says why by model.

    Raises
    ------
    RequestError
        Where there are fewer than two models, a run has several problems, or their data differ.
    """
    import pandas as pd

    given = candidates(models) if isinstance(models, Comparison) else _each(models)
    if len(given) < 2:
        raise RequestError("models: give at least two")
    _check_data(given)
    found = scored(given)
    table = pd.DataFrame.from_dict({one.name: _row(one) for one in found}, orient="index", columns=list(COLUMNS))
    table.index.name = "model"
    table.attrs = {"reasons": {one.name: one.reason for one in found if one.reason}}
    return table


def _each(models: Mapping[str, Comparison]) -> dict[str, Candidate]:
    found = {}
    for name, one in models.items():
        if len(one.problems) != 1:
            raise RequestError(f"models: the run of {name} has {len(one.problems)} problems; give runs of one each")
        (found[name],) = candidates(one).values()
    return found


def _check_data(models: Mapping[str, Candidate]) -> None:
    for name, one in models.items():
        if one.observed() is None:
            raise RequestError(f"models: {name} observes nothing that could be compared")
    (first, one), *others = models.items()
    for name, other in others:
        if not same_data(one, other):
            raise RequestError(
                f"models: {first} and {name} were trained on different data, so their densities cannot be compared"
            )


def _row(one: Scored) -> dict[str, Any]:
    own = one.loo
    told = {} if own is None else {"elpd_loo": own.elpd, "se": own.se, "p_loo": own.p_loo, "guide": own.guide}
    return {**told, **{name: getattr(one, name) for name in COLUMNS if hasattr(one, name)}}
