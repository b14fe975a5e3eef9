"""Checks of a guide's density: the ELBO, the weights and the verdict are made of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from numpyro.handlers import seed, trace
from numpyro.infer import Trace_ELBO

from guidebench.inference.density import draw
from guidebench.inference.draws import guide_to_draw_from
from guidebench.results import Fit
from guidebench.testing.flaws import scored
from guidebench.testing.outcomes import CheckFailed, NotApplicable
from guidebench.testing.subject import Subject
from guidebench.testing.toys import Toy

#: Draws on which two computations of one density are compared, and the difference that is rounding in float32.
COMPARED, ROUNDING = 16, 1e-4

#: Standard errors, and nats beyond them, from which an estimate of the evidence is wrong.
ERRORS, SLACK = 5.0, 0.05

#: Weights estimate the evidence of a posterior with one mode where their tail is light, or where so large a share of
#: them counts that a tail, which k-hat itself sees with a noise of 0.1, can hide next to nothing.
KHAT, SHARE = 0.7, 0.5


def check_density_agrees_with_numpyro(subject: Subject) -> None:
    """Draw by draw, its log weight is that of NumPyro's own `Trace_ELBO`.

    guidebench scores every guide with one estimator, and that has to be the ELBO that its author knows.
    """
    if subject.point:
        raise NotApplicable("a point estimate has no density")
    for toy, _ in scored(subject)[-1:]:
        own, numpyro_s = _log_weights(subject, toy)
        apart = np.max(np.abs(own - numpyro_s) / np.maximum(np.abs(own), 1))
        if not apart < ROUNDING:
            raise CheckFailed(f"on {toy.name}: guidebench and Trace_ELBO disagree about log p - log q by {apart:.2g}")


def _log_weights(subject: Subject, toy: Toy) -> tuple[np.ndarray, np.ndarray]:
    """Return log p - log q of some draws of the untrained guide, by guidebench and by NumPyro."""
    inspected = subject.inspected(toy)
    model = inspected.problem.model
    loss = Trace_ELBO()

    def program(traced: Mapping[str, Any], keys: jax.Array) -> tuple[jax.Array, jax.Array]:
        args, kwargs = inspected.arguments.call(model, traced)
        guide = subject.build(model, toy.mode)
        sites = trace(seed(guide, keys[0])).get_trace(*args, **kwargs)
        params = {name: site["value"] for name, site in sites.items() if site["type"] == "param"}
        guide = guide_to_draw_from(guide, params, model, args, kwargs, subject.declaration.draw)

        def one(key: jax.Array) -> tuple[jax.Array, jax.Array]:
            found = draw(key, params, model, guide, args, kwargs)
            return found.log_p - found.log_q, -loss.loss(key, params, model, guide, *args, **kwargs)

        return jax.vmap(one)(keys)

    keys = jax.random.split(jax.random.key(0), COMPARED)
    own, numpyro_s = jax.jit(program)(dict(inspected.arguments.arrays), keys)
    return np.asarray(own, float), np.asarray(numpyro_s, float)


def check_density_integrates_to_one(subject: Subject) -> None:
    """The mean of its importance weights is the known evidence, within its error.

    It is so for every normalised density that covers the posterior, good or bad.  A missing Jacobian or constant shifts
    the ELBO, and with it the guide's place in the table, by what nobody would notice.
    """
    if subject.declaration.bound != "elbo":
        raise NotApplicable(f"bound={subject.declaration.bound!r}: it has no density over the model's own latents")
    usable = [(toy, fit) for toy, fit in scored(subject) if _usable(fit)]
    if not usable:
        raise NotApplicable(
            f"its weights have too heavy a tail on every problem (k-hat above {KHAT:g}, few that count)"
        )
    if any(_above(toy, fit) > 0 for toy, fit in scored(subject)):
        raise NotApplicable("its ELBO lies above the evidence: see check_elbo_is_a_bound")
    for toy, fit in usable:
        found = fit.metric("log_evidence")
        assert found is not None
        apart = found.value - toy.log_evidence
        if not abs(apart) <= ERRORS * (found.mcse or 0.0) + SLACK:
            raise CheckFailed(
                f"on {toy.name}: its weights estimate the log evidence {apart:+.3f} nats (± {found.mcse:.3f}) off the "
                "exact one; is a Jacobian or a constant missing in its density?"
            )


def _usable(fit: Fit) -> bool:
    """Return whether the weights of a fit are good for an estimate of the evidence."""
    khat, share = fit.value("khat"), fit.value("ess_share")
    return (khat is not None and khat < KHAT) or (share is not None and share > SHARE)


def check_elbo_is_a_bound(subject: Subject) -> None:
    """Its ELBO lies nowhere above the known log evidence, but for Monte Carlo error.

    An ELBO above the evidence is no lower bound; such a guide would top every table.
    """
    if subject.point:
        raise NotApplicable("a point estimate has no ELBO")
    for toy, fit in scored(subject):
        above = _above(toy, fit)
        if above > 0:
            raise CheckFailed(f"on {toy.name}: its ELBO lies {above:.3f} nats above the exact log evidence")


def _above(toy: Toy, fit: Fit) -> float:
    """Return by how much an ELBO lies above the evidence, beyond its error; 0 where it does not."""
    found = fit.metric("elbo")
    if found is None:
        return 0.0
    above = found.value - toy.log_evidence
    return above if above > ERRORS * (found.mcse or 0.0) + SLACK else 0.0
