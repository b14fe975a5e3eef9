"""Models against each other: runs on the same data, by what each predicts of rows it has not seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from guidebench.analysis.loo import Loo, loo
from guidebench.analysis.recommendation import by_word
from guidebench.config.errors import RequestError
from guidebench.results import Comparison, Fit
from guidebench.results import inference_data as idata

if TYPE_CHECKING:
    import pandas as pd

#: Largest standard error of a log evidence that is shown, in nats.
MOST_ERROR = 0.1


def compare_models(models: Mapping[str, Comparison]) -> pd.DataFrame:
    """Compare models by the runs that were made of them on the same data.

    Parameters
    ----------
    models : mapping of str to Comparison
        By what each model is to be called; each a run of one problem.

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

    if len(models) < 2:
        raise RequestError("models: give at least two")
    for name, one in models.items():
        if len(one.problems) != 1:
            raise RequestError(f"models: the run of {name} has {len(one.problems)} problems; give runs of one each")
    _check_data(models)
    found, reasons = {}, {}
    for name, one in models.items():
        try:
            found[name] = loo(one.fits)
        except RequestError as error:
            reasons[name] = error.text
    best = max(found, key=lambda name: found[name].elpd) if found else None
    held = _same_heldout(models)
    rows = {
        name: {**_of_loo(found.get(name), found.get(best or "")), **_of_run(one, heldout=held)}
        for name, one in models.items()
    }
    order = sorted(models, key=lambda name: -found[name].elpd if name in found else np.inf)
    table = pd.DataFrame.from_dict({name: rows[name] for name in order}, orient="index", columns=list(_COLUMNS))
    table.index.name = "model"
    table.attrs = {"reasons": reasons}
    return table


_COLUMNS = (
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


def _of_loo(found: Loo | None, best: Loo | None) -> dict[str, Any]:
    if found is None or best is None:
        return {}
    apart = found.pointwise - best.pointwise
    return {
        "elpd_loo": found.elpd,
        "se": found.se,
        "difference": float(apart.sum()),
        "se_difference": float(np.sqrt(len(apart)) * apart.std(ddof=1)) if len(apart) > 1 else float("nan"),
        "p_loo": found.p_loo,
        "guide": found.guide,
    }


def _of_run(one: Comparison, *, heldout: bool) -> dict[str, Any]:
    """Return what a run knows of its model beside LOO."""
    words = by_word(one.fits)
    usable = [*words.trusted, *words.reweighted, *words.refreshed]
    found: dict[str, Any] = {"log_evidence": _log_evidence(one, [*words.trusted, *words.reweighted])}
    if heldout and usable:
        for metric in ("elpd", "crps"):
            found[f"{metric}_heldout"] = usable[0].value(metric)
    return found


def _log_evidence(one: Comparison, usable: list[Fit]) -> float | None:
    """Return the log evidence where it is exact, or a guide's weights tell it well."""
    (record,) = one.problems
    if record.log_evidence is not None:
        return record.log_evidence
    known = [found for fit in usable if (found := fit.metric("log_evidence")) is not None and found.mcse is not None]
    best = min(known, key=lambda one: one.mcse or 0.0, default=None)
    return best.value if best is not None and (best.mcse or 0.0) <= MOST_ERROR else None


def _data(one: Comparison) -> np.ndarray | None:
    """Return all observations of a run, whatever the sites are called."""
    for fit in one.fits:
        dataset = idata.group(fit.inference_data, "observed_data")
        if dataset is not None:
            return np.concatenate([np.ravel(dataset[name].to_numpy()) for name in sorted(map(str, dataset.data_vars))])
    return None


def _check_data(models: Mapping[str, Comparison]) -> None:
    found = {name: _data(one) for name, one in models.items()}
    (first, data), *others = found.items()
    for name, one in others:
        if data is None or one is None:
            raise RequestError(f"models: {first if data is None else name} observes nothing that could be compared")
        if data.shape != one.shape or not np.array_equal(data, one):
            raise RequestError(
                f"models: {first} and {name} were trained on different data, so their densities cannot be compared"
            )


def _same_heldout(models: Mapping[str, Comparison]) -> bool:
    """Return whether the same share of the same rows was held out, or as many rows of a file."""
    sizes = {one.problems[0].heldout_size for one in models.values()}
    settings = {tuple(str(one.config.get(name)) for name in ("heldout", "test", "seed")) for one in models.values()}
    return len(settings) == len(sizes) == 1 and 0 not in sizes
