r"""A series of observations whose distribution depends on the state of a Markov chain that is not seen.

With :math:`e_k(y_t)` the density of an observation in state k and :math:`P` the transition matrix,

.. math:: p(y) = \frac{1}{K}\, 1^T D_1 P D_2 P \cdots P D_N\, 1, \qquad D_t = \mathrm{diag}\, e_k(y_t)

(the forward algorithm, with every state as likely to be the first).  The product is taken in halves,
pairs of matrices side by side, so that a series of N needs log2(N) steps, and rescaled in each.
"""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax import lax
from numpyro.distributions.util import validate_sample


class HiddenMarkov(dist.Distribution):  # type: ignore[misc]
    """The distribution of the observations, the states summed out.

    Parameters
    ----------
    transition : array
        Shape ``(K, K)``; row k holds the probabilities of the states after state k.
    emission : Distribution
        Of one observation in each state: batch shape ``(K,)``.
    size : int
        Length of the series, N.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {"transition": dist.constraints.simplex}
    pytree_data_fields = ("transition", "emission")
    pytree_aux_fields = ("size",)

    def __init__(
        self, transition: Any, emission: dist.Distribution, size: int, *, validate_args: bool | None = None
    ) -> None:
        self.transition, self.emission, self.size = transition, emission, size
        super().__init__((), (size, *emission.event_shape), validate_args=validate_args)

    @property
    def support(self) -> Any:
        """That of every observation."""
        return dist.constraints.independent(self.emission.support, 1)

    @validate_sample  # type: ignore[untyped-decorator]
    def log_prob(self, value: Any) -> Any:
        """Return the log density of a series, in nats."""
        emitted = self.emission.log_prob(jnp.expand_dims(value, -1 - len(self.emission.event_shape)))
        return log_forward(self.transition, emitted)

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Any:
        """Draw states, then observations."""
        states_key, emission_key = jax.random.split(key)
        count = self.transition.shape[0]
        uniform = jax.random.uniform(states_key, (self.size, *sample_shape))
        first = jnp.minimum((uniform[0] * count).astype(int), count - 1)
        cumulative = jnp.cumsum(self.transition, axis=1)[:, :-1]

        def advance(state: Any, draw: Any) -> tuple[Any, Any]:
            following = jnp.sum(draw[..., None] > cumulative[state], axis=-1)
            return following, following

        _, later = lax.scan(advance, first, uniform[1:])
        states = jnp.moveaxis(jnp.concatenate([first[None], later]), 0, -1)
        everything = self.emission.sample(emission_key, (*sample_shape, self.size))
        chosen = states.reshape(*states.shape, *(1,) * (1 + len(self.emission.event_shape)))
        return jnp.take_along_axis(everything, chosen, axis=len(sample_shape) + 1).squeeze(len(sample_shape) + 1)


def log_forward(transition: Any, emitted: Any) -> Any:
    """Return log p(y) from log densities ``emitted[t, k]``, in nats."""
    size, count = emitted.shape
    peaks = lax.stop_gradient(emitted.max(axis=1))
    densities = jnp.exp(emitted - peaks[:, None])
    product = transition * densities[1:, None, :]
    # Up to a power of two with identities: what is left over would have to be carried along.
    missing = (1 << max(size - 2, 0).bit_length()) - (size - 1)
    product = jnp.concatenate([product, jnp.broadcast_to(jnp.eye(count, dtype=product.dtype), (missing, count, count))])
    scale = peaks.sum()
    while len(product) > 1:
        # Sums of products, written out: a batched matrix product of many small matrices is slow on a CPU.
        product = jnp.sum(product[0::2, :, :, None] * product[1::2, None, :, :], axis=2)
        largest = lax.stop_gradient(product.max(axis=(1, 2), keepdims=True))
        product, scale = product / largest, scale + jnp.sum(jnp.log(largest))
    return jnp.log(jnp.sum(densities[0] @ product[0])) + scale - jnp.log(count)
