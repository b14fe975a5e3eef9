"""What a metric may look at: the draws of one fit and what is known of its problem."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np


class Heldout(Protocol):
    """Predictions of data that took no part in training."""

    @property
    def observed(self) -> Mapping[str, np.ndarray]:
        """Per observed site, the held-out values, shape ``(N, ...)``."""

    @property
    def predicted(self) -> Mapping[str, np.ndarray]:
        """Draws from the posterior predictive of the same, shape ``(S, N, ...)``."""

    @property
    def log_likelihood(self) -> Mapping[str, np.ndarray]:
        """The log p(y_n | theta_s) in nats, shape ``(S, N, ...)``."""

    @property
    def discrete(self) -> frozenset[str]:
        """Sites with discrete values, whose central intervals cannot have a given coverage."""


@runtime_checkable
class Evidence(Protocol):
    """The draws of the best restart of one fit."""

    @property
    def latents(self) -> Mapping[str, np.ndarray]:
        """Draws of each latent site, shape ``(S, ...)``."""

    @property
    def log_weights(self) -> np.ndarray | None:
        """The log p(y, theta) - log q(theta) in nats, float64, shape ``(S,)``; ``None`` for a point estimate."""

    @property
    def marginal_weights(self) -> bool:
        """Whether the weights are those of the model's own latents, not of an augmented space."""

    @property
    def restart_elbos(self) -> tuple[float, ...]:
        """ELBO of every restart that trained."""

    @property
    def heldout(self) -> Heldout | None:
        """Predictions, where the problem has held-out data."""

    @property
    def reference(self) -> Mapping[str, np.ndarray]:
        """Draws from the true posterior by site, shape ``(M, ...)``, where there are any.

        They may lack latent sites, and have deterministic ones.
        """

    @property
    def reference_ess(self) -> Mapping[str, float]:
        """Per scalar component, how many independent draws those of the reference are worth, where fewer."""

    @property
    def refreshed(self) -> Mapping[str, np.ndarray]:
        """Draws of settled chains that began at the guide's draws, or in their place the mixture's, by latent site."""

    @property
    def refreshed_ess(self) -> Mapping[str, float]:
        """Per scalar component, how many independent draws the refreshed ones are worth, where fewer."""

    @property
    def witness(self) -> Mapping[str, np.ndarray]:
        """Draws of a witness, which stands in for a reference where there is none, shape ``(M, ...)``."""

    @property
    def witness_ess(self) -> Mapping[str, float]:
        """Per scalar component, how many independent draws those of the witness are worth, where fewer."""

    @property
    def mode_shares(self) -> Sequence[tuple[float, float]]:
        """Per mode that a search found, its estimated share of the posterior and its share of the draws."""

    @property
    def gradients(self) -> int | None:
        """Gradients of the log joint that the guide cost, all phases together; ``None`` where nobody counted them."""

    def has(self, part: str) -> bool:
        """Return whether a part that a metric may need is there."""

    def scalars(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield every scalar component of the latents as ``name`` or ``name[i,j]`` with its draws."""

    def reference_scalars(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the same of the reference."""

    def refreshed_scalars(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the same of the chains."""
