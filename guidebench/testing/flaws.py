"""What keeps a guide from being scored on a toy problem, told apart by cause, so that one flaw fails one check.

A guide with a site of the wrong shape may fail in training, in drawing or in predicting; what it should be told
is that the shape is wrong.  So its draws are looked at before it is trained.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import jax
import numpy as np
from numpyro.handlers import seed, trace

from guidebench.inference.density import draw_guide
from guidebench.inference.guide_sites import disagreement
from guidebench.inference.structure import ModelStructure
from guidebench.plugins.isolation.failures import reason
from guidebench.results import Fit, Status
from guidebench.testing.outcomes import CheckFailed, NotApplicable
from guidebench.testing.subject import Subject
from guidebench.testing.toys import Toy

#: Phases of a fit in which an exception says that the guide cannot be used on a model.
LEARNING = ("supports", "build", "train", "fit")

#: Draws of an untrained guide to look at.
FIRST_DRAWS = 200


class Kind(StrEnum):
    """What can keep a guide from being scored."""

    SITES = "check_sites_and_shapes"
    SUPPORTS = "check_draws_are_in_the_supports"
    RAISES = "check_unsupported_models_have_a_reason"
    TRAINING = "check_trains"
    SCORING = "check_is_scored"


@dataclass(frozen=True, kw_only=True)
class Flaw:
    """What went wrong on one toy problem; the kind is the check that tells of it.

    ``asked`` is whether it was the guide's ``supports`` that went wrong, which says nothing of the guide itself.
    """

    kind: Kind
    toy: str
    reason: str
    asked: bool = False

    def __str__(self) -> str:
        return f"on {self.toy}: {self.reason}"


def refusal(subject: Subject, structure: ModelStructure) -> str | None:
    """Return why the guide declares itself unfit for a model, or ``None``.

    Raises
    ------
    CheckFailed
        Where its ``supports`` fails, or answers with something else.
    """
    supports = subject.declaration.supports
    try:
        why: Any = None if supports is None else supports(structure)
    except Exception as error:  # the boundary of the guide's own function
        raise CheckFailed(f"supports raises {reason(error)}; it should return the reason, or None") from error
    if why is not None and (not isinstance(why, str) or not why.strip()):
        raise CheckFailed(f"supports returns {why!r}; it should return the reason as text, or None")
    return None if why is None else str(why)


def flaw(subject: Subject, toy: Toy) -> Flaw | None:
    """Return what keeps the guide from being scored on a toy problem; ``None`` where it is scored, or refuses it."""
    if toy.name not in subject.flaws:
        subject.flaws[toy.name] = _flaw(subject, toy)
    found: Flaw | None = subject.flaws[toy.name]
    return found


def _flaw(subject: Subject, toy: Toy) -> Flaw | None:
    structure = subject.inspected(toy).structure

    def found(kind: Kind, reason: str) -> Flaw:
        return Flaw(kind=kind, toy=toy.name, reason=reason)

    try:
        if refusal(subject, structure) is not None:
            return None
    except CheckFailed as error:
        return Flaw(kind=Kind.RAISES, toy=toy.name, reason=str(error), asked=True)
    before = _before_training(subject, toy)
    if before is not None:
        return found(*before)
    fit = subject.fit(toy)
    if fit.status.has_draws:
        outside = _outside(posterior(fit), toy)
        return None if outside is None else found(Kind.SUPPORTS, outside)
    phase, _, message = fit.message.partition(": ")
    if fit.status is Status.FAILED and phase in LEARNING:
        return found(Kind.RAISES, message)
    if fit.status is Status.UNSUPPORTED:
        return None
    outside = _outside_at_first(subject, toy)
    if outside is not None:
        return found(Kind.SUPPORTS, outside)
    return found(Kind.TRAINING if fit.status is Status.DIVERGED else Kind.SCORING, fit.message)


def _before_training(subject: Subject, toy: Toy) -> tuple[Kind, str] | None:
    """Return what is wrong with the sites of the untrained guide, or ``None``; training tells why one does not run."""
    inspected = subject.inspected(toy)
    model, arguments, structure = inspected.problem.model, inspected.arguments, inspected.structure
    try:
        told = disagreement(subject.build(model, toy.mode), model, arguments, structure)
        if told is None:
            return None
        program, values = _drawing(subject, toy)
        shapes = {name: one.shape[1:] for name, one in jax.eval_shape(program, *values).items()}
    except Exception:  # noqa: BLE001 - what it is comes out in training, with the engine's words for it
        return None
    wrong = _sites(shapes, structure)
    return (Kind.SUPPORTS, told) if wrong is None else (Kind.SITES, wrong)


def _drawing(subject: Subject, toy: Toy) -> tuple[Callable[..., dict[str, jax.Array]], tuple[Any, ...]]:
    """Return a program that draws from the untrained guide, by site without auxiliary ones, and its arguments."""
    inspected = subject.inspected(toy)
    model = inspected.problem.model

    def program(traced: Mapping[str, Any], keys: jax.Array) -> dict[str, jax.Array]:
        args, kwargs = inspected.arguments.call(model, traced)
        guide = subject.build(model, toy.mode)
        trace(seed(guide, keys[0])).get_trace(*args, **kwargs)  # which sets an AutoGuide up

        def one(key: jax.Array) -> dict[str, jax.Array]:
            _, sites = draw_guide(key, {}, guide, args, kwargs)
            return {name: site["value"] for name, site in sites.items() if _is_draw(site)}

        return jax.vmap(one)(keys)

    return program, (dict(inspected.arguments.arrays), jax.random.split(jax.random.key(0), FIRST_DRAWS))


def _outside_at_first(subject: Subject, toy: Toy) -> str | None:
    """Return which draws of the untrained guide are not in the support of their site, where it can be drawn from."""
    program, values = _drawing(subject, toy)
    try:
        draws = {name: np.asarray(value) for name, value in jax.jit(program)(*values).items()}
    except Exception:  # noqa: BLE001 - the fit has failed, and says why
        return None
    return _outside(draws, toy)


def _is_draw(site: Mapping[str, Any]) -> bool:
    return site["type"] == "sample" and not site["is_observed"] and not site["infer"].get("is_auxiliary")


def _sites(shapes: Mapping[str, tuple[int, ...]], structure: ModelStructure) -> str | None:
    """Return what is wrong with the names or shapes of a guide's draws, or ``None``."""
    wanted = {site.name: site.shape for site in structure.latents}
    missing, unknown = sorted(wanted.keys() - shapes.keys()), sorted(shapes.keys() - wanted.keys())
    if missing:
        return f"it lacks the model's latent site(s) {', '.join(missing)}"
    if unknown:
        listed = ", ".join(unknown)
        return f"its site(s) {listed} are none of the model's; is infer={{'is_auxiliary': True}} missing?"
    for name, shape in wanted.items():
        if shapes[name] != shape:
            return f"its site {name!r} has the shape {shapes[name]}; expected is the model's, {shape}"
    return None


def _outside(draws: Mapping[str, np.ndarray], toy: Toy) -> str | None:
    """Return which draws are not finite or not in the support of their site, or ``None``."""
    for name in toy.mode:
        values = draws[name]
        if not np.isfinite(values).all():
            return f"{_share(~np.isfinite(values))} of the draws of {name} are not finite"
        if name in toy.inside and not toy.inside[name](values).all():
            return f"{_share(~toy.inside[name](values))} of the draws of {name} are outside its support"
    return None


def _share(wrong: np.ndarray) -> str:
    return f"{np.mean(wrong):.1%}"


def posterior(fit: Fit) -> dict[str, np.ndarray]:
    """Return the draws of a fit by site, each of shape ``(S, ...)``."""
    assert fit.inference_data is not None
    return {str(name): values.to_numpy()[0] for name, values in fit.inference_data["posterior"].data_vars.items()}


def flaws(subject: Subject) -> list[Flaw]:
    """Return what is wrong on each toy problem, where anything is."""
    return [found for toy in subject.toys.values() if (found := flaw(subject, toy)) is not None]


def own_error(subject: Subject) -> str | None:
    """Return the exception that the guide's own code ends in on the first toy problem, and where, or ``None``."""
    toy = next((one for one in subject.toys.values() if not _refuses(subject, one)), None)
    if toy is None or flaw(subject, toy) is None or toy.name not in subject.fitted:
        return None
    failed = next((one for one in subject.fit(toy).failures if one.traceback), None)
    if failed is None:
        return None
    place = _place(failed.traceback)
    return f"{failed.message}{f' ({place})' if place else ''}"


def _place(traceback: str) -> str:
    """Return the last place of a traceback that is in none of the installed packages, nor in guidebench."""
    own = str(Path(__file__).parents[1])
    found = re.findall(r'File "([^"]+)", line (\d+), in (\S+)', traceback)
    theirs = [one for one in found if "site-packages" not in one[0] and not one[0].startswith((own, "<"))]
    if not theirs:
        return ""
    file, line, function = theirs[-1]
    return f"{Path(file).name}, line {line}, in {function}"


def raises_everywhere(subject: Subject) -> bool:
    """Return whether the guide ends in an exception on every toy problem that it does not refuse."""
    found = [flaw(subject, toy) for toy in subject.toys.values() if not _refuses(subject, toy)]
    return bool(found) and all(one is not None and one.kind is Kind.RAISES and not one.asked for one in found)


def scored(subject: Subject, names: Sequence[str] | None = None) -> list[tuple[Toy, Fit]]:
    """Return the toy problems of these names (all by default) that the guide is scored on, with its fits.

    Raises
    ------
    NotApplicable
        Where there is none, with the check that tells why.
    """
    chosen = [toy for name, toy in subject.toys.items() if names is None or name in names]
    found = [(toy, subject.fit(toy)) for toy in chosen if flaw(subject, toy) is None and _has_draws(subject, toy)]
    if not found:
        raise NotApplicable(_why_not(subject, chosen))
    return found


def first_scored(subject: Subject) -> tuple[Toy, Fit]:
    """Return the first toy problem that the guide is scored on, and the fit; see :func:`scored`."""
    for toy in subject.toys.values():
        if flaw(subject, toy) is None and _has_draws(subject, toy):
            return toy, subject.fit(toy)
    raise NotApplicable(_why_not(subject, list(subject.toys.values())))


def _why_not(subject: Subject, chosen: Sequence[Toy]) -> str:
    """Return why the guide is scored on none of some toy problems."""
    kinds = {one.kind for toy in chosen if (one := flaw(subject, toy)) is not None}
    if raises_everywhere(subject):
        kinds = {Kind.TRAINING}
    listed = ", ".join(toy.name for toy in chosen)
    told = f"see {', '.join(sorted(kinds))}" if kinds else "it does not support that"
    return f"it is not scored on {listed}: {told}"


def _has_draws(subject: Subject, toy: Toy) -> bool:
    return not _refuses(subject, toy) and subject.fit(toy).status.has_draws


def _refuses(subject: Subject, toy: Toy) -> bool:
    """Return whether the guide refuses a toy problem; one whose ``supports`` fails does not."""
    try:
        return refusal(subject, subject.inspected(toy).structure) is not None
    except CheckFailed:
        return False
