"""Models of the same data against each other, by what each predicts of rows it has not seen: pure, from results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from guidebench.analysis.models.loo import Loo, loo
from guidebench.analysis.recommendation import by_word
from guidebench.config.errors import RequestError
from guidebench.results import Comparison, Fit, ProblemRecord
from guidebench.results import inference_data as idata

#: Largest standard error of a log evidence that is shown, in nats.
MOST_ERROR = 0.1


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A model on its data: the record of its problem, the fits of all guides, and the settings of the run."""

    record: ProblemRecord
    fits: Sequence[Fit]
    config: Mapping[str, Any]

    def usable(self) -> list[Fit]:
        """Return the fits whose draws can be used, the first choice first."""
        return by_word(self.fits).with_densities

    def observed(self) -> np.ndarray | None:
        """Return all observations, whatever the sites are called; ``None`` where there are none."""
        for fit in self.fits:
            dataset = idata.group(fit.inference_data, "observed_data")
            if dataset is not None and dataset.data_vars:
                return np.concatenate([np.ravel(dataset[name].to_numpy()) for name in sorted(map(str, dataset))])
        return None

    def log_evidence(self) -> float | None:
        """Return the log evidence where it is exact, or the weights of a guide tell it well."""
        if self.record.log_evidence is not None:
            return self.record.log_evidence
        words = by_word(self.fits)
        known = [fit.metric("log_evidence") for fit in (*words.trusted, *words.reweighted)]
        told = [(one.mcse, one.value) for one in known if one is not None and one.mcse is not None]
        error, value = min(told, default=(np.inf, None))
        return value if error <= MOST_ERROR else None

    def rows_held_out(self) -> tuple[str, ...]:
        """Return what decides which rows were held out; nothing where none were."""
        size = self.record.heldout_size
        return (str(size), *(str(self.config.get(name)) for name in ("heldout", "test", "seed"))) if size else ()


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What a model is worth; ``None`` where something is not known.

    Attributes
    ----------
    name : str
        Of the model.
    loo : Loo or None
        Its PSIS-LOO.
    difference, se_difference : float or None
        Of its sum of log densities from that of the best model, and the standard error of that.
    log_evidence : float or None
        In nats.
    elpd_heldout, crps_heldout : float or None
        Scores on rows that were held out, where these are the same for all models.
    reason : str
        Why there is no PSIS-LOO.
    """

    name: str
    loo: Loo | None = field(repr=False)
    difference: float | None = None
    se_difference: float | None = None
    log_evidence: float | None = None
    elpd_heldout: float | None = None
    crps_heldout: float | None = None
    reason: str = ""


def same_data(one: Candidate, other: Candidate) -> bool:
    """Return whether two models observe the same numbers."""
    data, others = one.observed(), other.observed()
    return data is not None and others is not None and data.shape == others.shape and np.array_equal(data, others)


def scored(models: Mapping[str, Candidate]) -> list[Scored]:
    """Return what each of these models of the same data is worth, the best first, those without LOO last."""
    found: dict[str, Loo] = {}
    reasons: dict[str, str] = {}
    for name, one in models.items():
        try:
            found[name] = loo(one.fits)
        except RequestError as error:
            reasons[name] = error.text
    held = {one.rows_held_out() for one in models.values()}
    alike = len(held) == 1 and () not in held
    order = sorted(models, key=lambda name: -found[name].elpd if name in found else np.inf)
    best = found.get(order[0]) if order else None
    return [_scored(name, models[name], found.get(name), best, reasons.get(name, ""), alike=alike) for name in order]


def _scored(name: str, one: Candidate, own: Loo | None, best: Loo | None, reason: str, *, alike: bool) -> Scored:
    difference: dict[str, float] = {}
    if own is not None and best is not None:
        apart = own.pointwise - best.pointwise
        error = np.sqrt(len(apart)) * apart.std(ddof=1) if len(apart) > 1 else np.nan
        difference = {"difference": float(apart.sum()), "se_difference": float(error)}
    usable = one.usable() if alike else []
    held = {f"{metric}_heldout": usable[0].value(metric) for metric in ("elpd", "crps")} if usable else {}
    return Scored(name=name, loo=own, log_evidence=one.log_evidence(), reason=reason, **difference, **held)


def candidates(comparison: Comparison) -> dict[str, Candidate]:
    """Return the models of a run by the names of their problems."""
    return {
        one.name: Candidate(record=one, fits=comparison.of(one.name), config=comparison.config)
        for one in comparison.problems
    }
