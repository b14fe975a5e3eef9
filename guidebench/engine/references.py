"""What the guides are measured against: exact draws, those that come with a problem, NUTS, or the user's own.

All but the exact ones have to pass the same checks.  A reference that fails its checks is named in the record with
the reason, and used for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from guidebench.config.errors import RequestError
from guidebench.config.seeds import derive
from guidebench.config.settings import RunConfig
from guidebench.contracts import ReferenceDraws
from guidebench.engine.events import Tell
from guidebench.engine.features import features
from guidebench.engine.gate import Reference, judge, used
from guidebench.engine.given import Given, arrange, read
from guidebench.engine.prepared import PreparedProblem
from guidebench.engine.request import Settings
from guidebench.engine.sampled import by_nuts
from guidebench.engine.workbench import Workbench
from guidebench.results import ProblemRecord

#: Draws from an exact posterior: enough that its own noise hardly counts.
EXACT_DRAWS = 40_000


class Referenced(NamedTuple):
    """The reference of a problem, and the features of its posterior, which are read off it."""

    reference: Reference
    features: Mapping[str, float]

    def described(self, record: ProblemRecord) -> ProblemRecord:
        """Return the record of the problem with what the report needs to know of the reference."""
        return replace(
            record,
            reference=self.reference.label,
            reference_checks=dict(self.reference.checks),
            reference_note=self.reference.note,
            reference_s=self.reference.seconds,
            features=dict(self.features),
        )


def no_reference(how: str) -> Referenced:
    """Return what stands in for a reference whose process died."""
    return Referenced(Reference(note=f"There is no reference, for it could not be found: {how}."), {})


def find_reference(bench: Workbench, settings: Settings, given: Mapping[str, Any] | None, tell: Tell) -> Referenced:
    """Return the reference that a run asks for.

    Parameters
    ----------
    bench : Workbench
        The problem, and its programs.
    settings : Settings
        The configuration says which one; the recipe is that of training.
    given : mapping, optional
        Draws by site that the user gave in place of a file.
    tell : callable
        Is told what happens.

    Raises
    ------
    RequestError
        Where the reference that was asked for cannot be had.
    """
    found = _find(bench, settings, given, tell)
    return Referenced(found, features(bench, found))


def _find(bench: Workbench, settings: Settings, given: Mapping[str, Any] | None, tell: Tell) -> Reference:
    config, problem, sites = settings.config, bench.prepared.problem, bench.prepared.structure.latents
    if given is not None:
        return _own("given draws", Given(arrange(given, sites, "reference")))
    if config.reference == "none":
        return Reference()
    if config.reference == "exact" or (config.reference == "auto" and problem.reference is not None):
        return _exact(bench.prepared, config)
    if config.reference == "auto" and problem.reference_draws is not None:
        return _made_earlier(bench.prepared)
    if config.reference in ("auto", "nuts"):
        return by_nuts(bench, settings, tell)
    file = Path(config.reference)
    return _own(file.name, read(file, sites))


def _exact(prepared: PreparedProblem, config: RunConfig) -> Reference:
    """Return draws from the exact posterior."""
    problem = prepared.problem
    if problem.reference is None:
        raise RequestError(
            f"problem {problem.name!r} cannot draw from its exact posterior; try nuts",
            option="reference",
            value="exact",
        )
    count = max(config.draws, EXACT_DRAWS)
    draws = problem.reference(derive(config.seed, problem.name, "reference"), count)
    found = {name: np.asarray(value) for name, value in draws.items()}
    for site in prepared.structure.latents:
        if site.name not in found or found[site.name].shape != (count, *site.shape):
            given = found[site.name].shape if site.name in found else "nothing"
            raise RequestError(
                f"problem {problem.name!r}: its reference gives {given} for site {site.name}, "
                f"not draws of shape {(count, *site.shape)}"
            )
    chains = {site.name: found[site.name][None] for site in prepared.structure.latents}
    return Reference(label="exact posterior" if chains else "", chains=chains, checks={"draws": float(count)})


def _made_earlier(prepared: PreparedProblem) -> Reference:
    """Return the draws that come with a problem."""
    problem = prepared.problem
    assert problem.reference_draws is not None
    found = problem.reference_draws()
    if not isinstance(found, ReferenceDraws):
        raise RequestError(
            f"problem {problem.name!r}: reference_draws must return ReferenceDraws, not {type(found).__name__}"
        )
    where = f"problem {problem.name!r}: its reference draws"
    return _own(found.label, Given(arrange(found.chains, prepared.structure.latents, where), found.divergences))


def _own(label: str, given: Given) -> Reference:
    """Return the user's own draws: checked where they are chains, and otherwise with a word of caution."""
    found = judge(given.chains, given.divergences)
    if found.checks["chains"] == 1:
        checks = {name: value for name, value in found.checks.items() if name != "rhat"}
        if given.divergences:
            return Reference(checks=checks, note=f"{label} is not used: {found.failure}.")
        note = f"Given by {label}; its convergence was not checked."
        return used(label, given.chains, found._replace(checks=checks), note)
    if found.failure:
        return Reference(
            checks=found.checks, note=f"{label} failed its checks and is used for nothing: {found.failure}."
        )
    note = "" if given.divergences is not None else f"{label} does not say whether transitions diverged."
    return used(label, given.chains, found, note)
