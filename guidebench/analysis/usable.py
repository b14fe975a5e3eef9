"""The draws of a problem that a run can stand behind, in one piece, with what they are and how they were won."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from guidebench.analysis.recommendation import by_word, recommend
from guidebench.config.seeds import derive
from guidebench.results import Comparison, Fit, ProblemRecord, Work
from guidebench.results import inference_data as idata
from guidebench.results.store import POSTERIOR, quoted
from guidebench.results.work import total

#: Groups of a guide's file that hold a value for every draw.
OF_DRAWS = ("posterior_predictive", "predictions", "log_likelihood")

#: Groups that are the same whatever was drawn.
OF_DATA = ("observed_data", "constant_data", "predictions_constant_data")


def usable(
    fits: Sequence[Fit], record: ProblemRecord, reference: idata.InferenceData | None, seed: int = 0
) -> idata.InferenceData | None:
    """Return the best draws that there are of a problem; ``None`` where none can be used.

    The choice is that of the recommendation: the draws of the quickest guide that is trusted; else the refreshed ones
    of the quickest that is to be refreshed; else those of the guide with the best ELBO that is to be reweighted,
    resampled by their smoothed weights; else those of the reference, or those that were made of what the search found.

    Parameters
    ----------
    fits : sequence of Fit
        Of the problem, with their draws.
    record : ProblemRecord
        What is known of it.
    reference : InferenceData or None
        The draws of the reference, where there is one.
    seed : int
        Of the resampling.

    Returns
    -------
    InferenceData or None
        The group ``posterior`` has the attributes ``problem``, ``source`` (``guide``, ``chains``, ``weights``,
        ``mixture``, ``groups`` or ``reference``), ``guide``, where the draws come from one, ``reason``, and
        ``quality``: how good they are, as far as was seen.
    """
    words = by_word([fit for fit in fits if fit.inference_data is not None])
    about = {"problem": record.name, "reason": recommend(fits, record) if fits else record.reference_note}
    if words.trusted:
        fit = words.trusted[0]
        return _told(_groups(fit, "posterior", *OF_DRAWS), _by(fit, about, "guide"))
    if words.refreshed:
        fit = words.refreshed[0]
        return _told(_refreshed(fit), _by(fit, about, "chains"))
    if words.reweighted:
        fit = words.reweighted[0]
        drawn = _resampled(fit, derive(seed, record.name, fit.guide, "resampling"))
        return _told(drawn, _by(fit, about, "weights"))
    if reference is not None and record.reference and not record.unchecked:
        found = {name: _group(reference, name) for name in idata.group_names(reference)}
        return _told(
            found, {**about, "source": "reference", "reference": record.reference, "quality": record.reference_note}
        )
    if words.lent:
        fit = words.lent[0]
        return _told(_refreshed(fit), {**about, "source": fit.refreshed_by, "quality": fit.reason})
    return None


def _by(fit: Fit, about: Mapping[str, str], source: str) -> dict[str, str]:
    return {**about, "source": source, "guide": fit.guide, "quality": fit.reason}


def spent(record: ProblemRecord, fits: Sequence[Fit]) -> Work:
    """Return what everything took that was tried on a problem."""
    return total([*record.work.values(), *(one for fit in fits for one in fit.work.values())])


def with_way(drawn: idata.InferenceData, record: ProblemRecord, fits: Sequence[Fit]) -> idata.InferenceData:
    """Return draws that a run ended with, which say how they were won and what that took.

    The attributes are ``won``, ``gradients`` and ``densities``.
    """
    work = spent(record, fits)
    groups = {name: _group(drawn, name) for name in idata.group_names(drawn)}
    about = {"won": record.notes[-1], "gradients": work.gradients, "densities": work.densities}
    return _told(groups, about)


#: What their files hold: the draws, and what they are the posterior of.
_WRITTEN = ("posterior", "observed_data")


def files_of(comparison: Comparison) -> dict[str, bytes]:
    """Return the draws to use of every problem as ``posterior/PROBLEM.nc``, by that name."""
    seed, found = int(comparison.config.get("seed", 0)), {}
    for record in comparison.problems:
        drawn = usable(comparison.of(record.name), record, comparison.references.get(record.name), seed)
        if drawn is not None:
            if comparison.config.get("until"):
                drawn = with_way(drawn, record, comparison.of(record.name))
            groups = {name: _group(drawn, name) for name in _WRITTEN if name in idata.group_names(drawn)}
            found[f"{POSTERIOR}/{quoted(record.name)}.nc"] = idata.to_bytes(idata.from_groups(groups))
    return found


def _told(groups: Mapping[str, xr.Dataset], about: Mapping[str, Any]) -> idata.InferenceData:
    """Return groups as InferenceData whose draws say what they are."""
    return idata.from_groups({**groups, "posterior": groups["posterior"].assign_attrs(about)})


def _group(data: idata.InferenceData, name: str) -> xr.Dataset:
    found = idata.group(data, name)
    assert found is not None
    return found


def _groups(fit: Fit, *names: str) -> dict[str, xr.Dataset]:
    """Return these groups of a fit, and those of its data, as far as it has them."""
    there = idata.group_names(fit.inference_data)
    return {name: _group(fit.inference_data, name) for name in (*names, *OF_DATA) if name in there}


def _refreshed(fit: Fit) -> dict[str, xr.Dataset]:
    """Return the refreshed draws of a fit in the place of its own; predictions were made from others."""
    groups = _groups(fit, "refreshed")
    return {"posterior": groups.pop("refreshed"), **groups}


def _resampled(fit: Fit, seed: int) -> dict[str, xr.Dataset]:
    """Return the draws of a fit, and what was predicted from them, as often as their smoothed weights say.

    Systematic resampling: a draw of weight w is taken either way next to Sw times, of S draws.
    """
    log_weights = _group(fit.inference_data, "sample_stats")["log_weight"].to_numpy().ravel()
    smoothed, _ = idata.pareto_smooth(log_weights)
    weights = np.exp(smoothed - smoothed.max())
    places = (np.random.default_rng(seed).uniform() + np.arange(len(weights))) / len(weights)
    chosen = np.searchsorted(np.cumsum(weights / weights.sum()), places).clip(max=len(weights) - 1)
    groups = _groups(fit, "posterior", *OF_DRAWS)
    return {
        name: one.isel(draw=chosen).assign_coords(draw=np.arange(len(chosen))) if name not in OF_DATA else one
        for name, one in groups.items()
    }
