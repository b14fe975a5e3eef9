"""Checks of a guide's draws: which sites, where, and whether they are the same again."""

from __future__ import annotations

import tempfile

import numpy as np

from guidebench.results.store import load
from guidebench.testing.flaws import Kind, first_scored, flaws, posterior, scored
from guidebench.testing.outcomes import CheckFailed
from guidebench.testing.subject import Subject


def _tell(subject: Subject, kind: Kind) -> None:
    """Fail with every flaw of one kind."""
    subject.chosen  # noqa: B018 - without a guide there is nothing to look at
    found = [str(one) for one in flaws(subject) if one.kind is kind]
    if found:
        raise CheckFailed("; ".join(found))


def check_sites_and_shapes(subject: Subject) -> None:
    """Its draws have exactly the model's latent sites, in the model's shapes.

    NumPyro only warns of a missing site, and broadcasts a wrong shape: the loss is then the ELBO of nothing.
    """
    _tell(subject, Kind.SITES)
    for toy, fit in scored(subject):
        found = {name: values.shape[1:] for name, values in posterior(fit).items()}
        for name, value in toy.mode.items():
            if found.get(name) != np.shape(value):
                raise CheckFailed(f"on {toy.name}: draws of {name} have the shape {found.get(name)}, not {value.shape}")


def check_draws_are_in_the_supports(subject: Subject) -> None:
    """Its draws are finite and inside the supports of the model's sites.

    A draw outside has no density under the model: the ELBO is minus infinity, and training sees NaN.
    """
    _tell(subject, Kind.SUPPORTS)
    scored(subject)


def check_same_seed_same_draws(subject: Subject) -> None:
    """Trained twice with one seed, it gives the same draws, bit by bit.

    Randomness from anywhere but `numpyro.sample` and `numpyro.prng_key` cannot be had again, and no result can.
    """
    toy, fit = first_scored(subject)
    first, second = posterior(fit), posterior(subject.fit_again(toy))
    for name, draws in first.items():
        if not np.array_equal(draws, second[name]):
            apart = np.max(np.abs(draws - second[name]))
            raise CheckFailed(
                f"on {toy.name}: draws of {name} differ by up to {apart:.2g} between two runs with one seed; "
                "is something random besides numpyro.sample, as numpy.random?"
            )


def check_saves_and_loads(subject: Subject) -> None:
    """Saved and loaded, its fit has the same draws, numbers and options.

    Reports are written again, compared and passed on from what is saved.
    """
    toy, fit = first_scored(subject)
    with tempfile.TemporaryDirectory() as folder:
        (loaded, *_) = load(subject.comparison(toy).save(folder)).fits
        if loaded.inference_data is None:
            raise CheckFailed(f"on {toy.name}: the draws of {fit.guide} cannot be found again")
        draws = posterior(loaded)
        for name, values in posterior(fit).items():
            if not np.array_equal(values, draws[name]):
                raise CheckFailed(f"on {toy.name}: draws of {name} are others when loaded")
    for part in ("guide", "plugin", "status", "bound", "options", "metrics", "message", "restarts"):
        before, after = getattr(fit, part), getattr(loaded, part)
        if not _same(before, after):
            raise CheckFailed(f"on {toy.name}: {part} was {before!r} and is {after!r} when loaded")


def _same(one: object, other: object) -> bool:
    # NaN is NaN here, and JSON has lists for tuples.
    return one == other or repr(one) == repr(other) or _as_lists(one) == other


def _as_lists(value: object) -> object:
    if isinstance(value, dict):
        return {key: _as_lists(item) for key, item in value.items()}
    return [_as_lists(item) for item in value] if isinstance(value, (list, tuple)) else value
