"""Checks of training: that it works, that it says where it cannot, and that it finds what it should."""

from __future__ import annotations

import numpy as np
import numpyro
import numpyro.distributions as dist

from guidebench.contracts import Problem
from guidebench.engine.minibatches import inspect_problem
from guidebench.results import Fit
from guidebench.testing.flaws import Flaw, Kind, flaws, posterior, raises_everywhere, refusal, scored
from guidebench.testing.outcomes import CheckFailed, NotApplicable
from guidebench.testing.subject import IN_BOTH, Subject
from guidebench.testing.toys import Toy

#: Latent dimensions of a model that a guide with a matrix over all of them may want to refuse.
MANY = 20_000

#: Errors against the exact posterior that are more than the noise of 1,000 draws and of training: of means in
#: sds, of sds as a share, of correlations, and of the ELBO in nats.
MEAN, SD, CORRELATION, NATS = 0.2, 0.2, 0.1, 0.1

#: Error of a mode, in sds of the posterior; nothing is random in it.
MODE = 0.05


def check_trains(subject: Subject) -> None:
    """It can be built for small models of every kind, and training leaves its loss and parameters finite.

    The models: a scalar, independent and correlated Gaussians, a hierarchy with a plate, and sites on the half line,
    the unit interval and the simplex.
    """
    found = _of_kind(subject, Kind.TRAINING)
    if raises_everywhere(subject):
        found += _of_kind(subject, Kind.RAISES)[:1]
    _tell(found)
    scored(subject)


def check_unsupported_models_have_a_reason(subject: Subject) -> None:
    """Where it cannot be used, `supports` says why, and nothing is raised.

    The reason stands in the guide's row of the report, where a traceback helps nobody.
    """
    if raises_everywhere(subject):
        raise NotApplicable("it trains on no model: see check_trains")
    found = _of_kind(subject, Kind.RAISES)
    if found:
        told = "; ".join(map(str, found))
        raise CheckFailed(f"{told}: declare Guide(supports=...), which returns the reason")
    refusal(subject, inspect_problem(_many(), {}).structure)


def _many() -> Problem:
    """Return a problem with many latent dimensions, which is only looked at."""

    def model() -> None:
        with numpyro.plate("many", MANY):
            numpyro.sample("theta", dist.Normal())

    return Problem(name="many-dimensional", model=model)


def check_is_scored(subject: Subject) -> None:
    """What it has learnt is scored, as its declared `bound` says: by an ELBO, or as a point.

    A point estimate that claims an ELBO would have an infinite one, and one that has an ELBO deserves it.
    """
    _tell(_of_kind(subject, Kind.SCORING))
    for toy, fit in scored(subject):
        varying = [name for name in toy.mode if np.any(posterior(fit)[name] != posterior(fit)[name][:1])]
        if subject.point and varying:
            raise CheckFailed(f"on {toy.name}: draws of {varying[0]} vary, but it declares bound='none', a point")
        if not subject.point and fit.value("elbo") is None:
            raise CheckFailed(f"on {toy.name}: it has no ELBO: {fit.message}")


def check_recovers_the_exact_answer(subject: Subject) -> None:
    """It finds the posterior that its `family` can represent, a diagonal or correlated Gaussian; a point, the mode.

    A guide that misses the one posterior it was made for is not to be believed elsewhere.  Families that are closed
    under the declared maps without containing a Gaussian fail this, and should say so as an expected failure.
    """
    family = subject.declaration.family
    if subject.point:
        for toy, fit in scored(subject, ("independent", "correlated", "constrained")):
            _check_mode(toy, fit)
        return
    if family == "none":
        raise NotApplicable("its family is 'none', which promises no Gaussian")
    for toy, fit in scored(subject, ("independent", *(["correlated"] if family == "affine" else []))):
        _check_gaussian(toy, fit, marginal=subject.declaration.bound == "elbo")


def _check_mode(toy: Toy, fit: Fit) -> None:
    for name, draws in posterior(fit).items():
        error = np.max(np.abs(draws[0] - toy.mode[name]) / toy.sd[name])
        if error > MODE:
            raise CheckFailed(f"on {toy.name}: {name} is {error:.2f} posterior sds off the mode of the joint density")


def _check_gaussian(toy: Toy, fit: Fit, *, marginal: bool) -> None:
    assert toy.covariance is not None
    draws = posterior(fit)
    for name in toy.mode:
        error = np.max(np.abs(draws[name].mean(0) - toy.mean[name]) / toy.sd[name])
        if error > MEAN:
            raise CheckFailed(f"on {toy.name}: the mean of {name} is {error:.2f} sds off the exact posterior's")
        ratio = draws[name].std(0) / toy.sd[name]
        if np.max(np.abs(ratio - 1)) > SD:
            raise CheckFailed(f"on {toy.name}: the sd of {name} is {_worst(ratio):.2f} times the exact posterior's")
    flat = np.concatenate([draws[name].reshape(len(draws[name]), -1) for name in toy.mode], axis=1)
    scale = np.sqrt(np.diag(toy.covariance))
    apart = np.max(np.abs(np.corrcoef(flat.T) - toy.covariance / np.outer(scale, scale)))
    if apart > CORRELATION:
        raise CheckFailed(f"on {toy.name}: a correlation is {apart:.2f} off the exact posterior's")
    elbo = fit.value("elbo")
    if marginal and elbo is not None and toy.log_evidence - elbo > NATS:
        raise CheckFailed(f"on {toy.name}: its ELBO is {toy.log_evidence - elbo:.2f} nats below the log evidence")


def _worst(ratio: np.ndarray) -> float:
    flat = np.ravel(ratio)
    return float(flat[np.argmax(np.abs(flat - 1))])


def check_family(subject: Subject) -> None:
    """Standardising the coordinates, as its declared `family` allows, makes it neither better nor worse.

    Guides are trained in coordinates that suit the posterior, as far as that leaves the family what it is.  A mean
    field that claims to be `affine` would be shown a posterior without correlations, and flattered by it.
    """
    family = subject.declaration.family
    if family == "none":
        raise NotApplicable("its family is 'none': it is never standardised")
    for toy, fit in scored(subject, IN_BOTH):
        own = subject.fit_in_own_coordinates(toy)
        if not own.status.has_draws:
            raise CheckFailed(f"on {toy.name}: in the model's own coordinates it ends with {own.status}: {own.message}")
        _compare(toy, family, fit, own)


def _compare(toy: Toy, family: str, fit: Fit, own: Fit) -> None:
    told = f"so family {family!r} is not what leaves it unchanged"
    one, other = fit.metric("elbo"), own.metric("elbo")
    if one is not None and other is not None:
        gained, noise = one.value - other.value, float(np.hypot(one.mcse or 0, other.mcse or 0))
        if abs(gained) > NATS + 3 * noise:
            word = "better" if gained > 0 else "worse"
            raise CheckFailed(
                f"on {toy.name}: standardised, its ELBO is {abs(gained):.2f} nats {word} than in the model's own "
                f"coordinates, {told}"
            )
        return
    for name, draws in posterior(fit).items():
        apart = np.max(np.abs(draws[0] - posterior(own)[name][0]) / toy.sd[name])
        if apart > MODE:
            raise CheckFailed(f"on {toy.name}: standardised, its {name} is {apart:.2f} sds elsewhere, {told}")


def _of_kind(subject: Subject, kind: Kind) -> list[Flaw]:
    subject.chosen  # noqa: B018 - without a guide there is nothing to look at
    return [one for one in flaws(subject) if one.kind is kind]


def _tell(found: list[Flaw]) -> None:
    if found:
        raise CheckFailed("; ".join(map(str, found)))
