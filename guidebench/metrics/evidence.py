"""What a metric may look at: the draws of one fit and what is known of its problem."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
from jaxtyping import Float, Float64, Shaped


@dataclass(frozen=True, kw_only=True)
class Heldout:
    """Predictions of data that took no part in training.

    Attributes
    ----------
    observed : mapping
        Per observed site, the held-out values, shape ``(N, ...)``.
    predicted : mapping
        Draws from the posterior predictive of the same, shape ``(S, N, ...)``.
    log_likelihood : mapping
        log p(y_n | theta_s) in nats, shape ``(S, N, ...)``.
    discrete : frozenset of str
        Sites with discrete values, whose central intervals cannot have a given coverage.
    """

    observed: Mapping[str, Shaped[np.ndarray, "..."]]
    predicted: Mapping[str, Shaped[np.ndarray, "S ..."]]
    log_likelihood: Mapping[str, Float[np.ndarray, "S ..."]]
    discrete: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The draws of the best restart of one fit.

    Attributes
    ----------
    latents : mapping
        Draws of each latent site, shape ``(S, ...)``.
    log_weights : ndarray or None
        log p(y, theta) - log q(theta) in nats, float64, shape ``(S,)``; ``None`` for a point
        estimate, which has no density.
    marginal_weights : bool
        Whether the weights are those of the model's own latents; on an augmented space they bound
        the ELBO but do not reweight the draws.
    restart_elbos : tuple of float
        ELBO of every restart that trained.
    heldout : Heldout or None
        Where the problem has held-out data.
    deterministics : mapping
        Values of the deterministic sites that the reference may have, shape ``(T, ...)``, for as many of the draws.
    reference : mapping
        Draws from the true posterior by site, shape ``(M, ...)``, where there are any.
    reference_ess : mapping
        Per scalar component, how many independent draws those of the reference are worth; one that
        is missing has independent draws.
    refreshed : mapping
        Draws of settled chains that began at the guide's draws, or those of the mixture where these stand in their
        place, by latent site, shape ``(R, ...)``, where there are any.
    refreshed_ess : mapping
        Per scalar component, how many independent draws these are worth; one that is missing has independent draws.
    witness, witness_ess : mapping
        The same of a witness: draws that were made to judge by where there is no reference, and that no error is
        shown against.
    mode_shares : sequence of (float, float)
        Per mode that a search found, its estimated share of the posterior and its share of the draws.
    gradients : int or None
        Gradients of the log joint that the guide cost, all phases together, where they were counted.
    """

    latents: Mapping[str, Shaped[np.ndarray, "S ..."]]
    log_weights: Float64[np.ndarray, " S"] | None = None
    marginal_weights: bool = True
    restart_elbos: tuple[float, ...] = ()
    heldout: Heldout | None = field(default=None, repr=False)
    deterministics: Mapping[str, Shaped[np.ndarray, "T ..."]] = field(default_factory=dict, repr=False)
    reference: Mapping[str, Shaped[np.ndarray, "M ..."]] = field(default_factory=dict, repr=False)
    reference_ess: Mapping[str, float] = field(default_factory=dict, repr=False)
    refreshed: Mapping[str, Shaped[np.ndarray, "R ..."]] = field(default_factory=dict, repr=False)
    refreshed_ess: Mapping[str, float] = field(default_factory=dict, repr=False)
    witness: Mapping[str, Shaped[np.ndarray, "W ..."]] = field(default_factory=dict, repr=False)
    witness_ess: Mapping[str, float] = field(default_factory=dict, repr=False)
    mode_shares: Sequence[tuple[float, float]] = ()
    gradients: int | None = None

    def has(self, part: str) -> bool:
        """Return whether a part that a metric may need is there."""
        match part:
            case "density":
                return self.log_weights is not None
            case "weights":
                return self.log_weights is not None and self.marginal_weights
            case "modes":
                return len(self.mode_shares) > 1
            case "heldout":
                return self.heldout is not None
            case "refreshed":
                return bool(self.refreshed)
            case "gradients":
                return self.gradients is not None
            case "witness":
                return bool(self.witness)
            case "reference":
                return bool(self.reference)
            case "reference spread":  # a point estimate has no spread to compare
                return bool(self.reference) and self.log_weights is not None
        return False

    def scalars(self) -> Iterator[tuple[str, Shaped[np.ndarray, " S"]]]:
        """Yield every scalar component of the latents as ``name`` or ``name[i,j]`` with its draws."""
        return scalars(self.latents)

    def reference_scalars(self) -> Iterator[tuple[str, Shaped[np.ndarray, " M"]]]:
        """Yield the same of the reference."""
        return scalars(self.reference)

    def refreshed_scalars(self) -> Iterator[tuple[str, Shaped[np.ndarray, " R"]]]:
        """Yield the same of the chains."""
        return scalars(self.refreshed)


def read_only(evidence: Evidence) -> Evidence:
    """Return the same evidence in arrays and mappings that cannot be written to."""
    heldout = evidence.heldout
    return replace(
        evidence,
        latents=_locked(evidence.latents),
        log_weights=None if evidence.log_weights is None else _view(evidence.log_weights),
        deterministics=_locked(evidence.deterministics),
        reference=_locked(evidence.reference),
        reference_ess=MappingProxyType(dict(evidence.reference_ess)),
        refreshed=_locked(evidence.refreshed),
        refreshed_ess=MappingProxyType(dict(evidence.refreshed_ess)),
        witness=_locked(evidence.witness),
        witness_ess=MappingProxyType(dict(evidence.witness_ess)),
        mode_shares=tuple(evidence.mode_shares),
        heldout=None
        if heldout is None
        else replace(
            heldout,
            observed=_locked(heldout.observed),
            predicted=_locked(heldout.predicted),
            log_likelihood=_locked(heldout.log_likelihood),
        ),
    )


def _locked(arrays: Mapping[str, Shaped[np.ndarray, "..."]]) -> Mapping[str, Shaped[np.ndarray, "..."]]:
    return MappingProxyType({name: _view(values) for name, values in arrays.items()})


def _view(values: Shaped[np.ndarray, "*shape"]) -> Shaped[np.ndarray, "*shape"]:
    view = np.asarray(values).view()
    view.flags.writeable = False
    return view


def scalars(sites: Mapping[str, Shaped[np.ndarray, "S ..."]]) -> Iterator[tuple[str, Shaped[np.ndarray, " S"]]]:
    """Yield every scalar component of draws of sites as ``name`` or ``name[i,j]``."""
    for name, draws in sites.items():
        for label, index in zip(labels(name, draws.shape[1:]), np.ndindex(draws.shape[1:]), strict=True):
            yield label, draws[(slice(None), *index)]


def labels(site: str, shape: tuple[int, ...]) -> list[str]:
    """Return the names of the components of a site."""
    return [f"{site}[{','.join(map(str, index))}]" if index else site for index in np.ndindex(shape)]
