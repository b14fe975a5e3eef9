"""The mean-field guide written by hand: one independent Normal per latent site."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from guidebench import Guide


def build(model: Callable[..., Any], *, init_loc_fn: Any = None, init_scale: float = 0.1) -> Callable[..., Any]:
    r"""Return a guide with :math:`q(\theta) = \prod_i \mathrm{N}(u_i; m_i, s_i^2)\, |du_i/d\theta_i|`.

    Here u is the unconstrained image of the latent sites under NumPyro's ``biject_to`` of their
    supports.  The parameters of site ``x`` are ``x_loc`` and ``x_scale``, in unconstrained space
    (``x_auto_loc`` and ``x_auto_scale`` where the model has a site of that name itself).

    Parameters
    ----------
    model : callable
        A NumPyro model with continuous latent sites.
    init_loc_fn : callable
        Where to start; NumPyro's ``init_to_uniform`` by default.
    init_scale : float
        Initial standard deviation of every unconstrained coordinate.
    """
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist
    from numpyro.distributions import constraints
    from numpyro.distributions.transforms import biject_to
    from numpyro.handlers import block, seed, substitute, trace
    from numpyro.infer.initialization import init_to_uniform

    def guide(*args: Any, **kwargs: Any) -> dict[str, Any]:
        with block():
            started = substitute(seed(model, numpyro.prng_key()), substitute_fn=init_loc_fn or init_to_uniform)
            sites = trace(started).get_trace(*args, **kwargs)
        latents = {
            name: site
            for name, site in sites.items()
            if site["type"] == "sample" and not site["is_observed"] and not site["fn"].support.is_discrete
        }
        plates = {
            frame.name: numpyro.plate(frame.name, frame.size, dim=frame.dim)
            for site in latents.values()
            for frame in site["cond_indep_stack"]
        }
        values = {}
        for name, site in latents.items():
            transform = biject_to(site["fn"].support)
            event_dim = transform.domain.event_dim
            prefix = f"{name}_auto" if {f"{name}_loc", f"{name}_scale"} & sites.keys() else name
            unconstrained = transform.inv(site["value"])
            loc = numpyro.param(f"{prefix}_loc", unconstrained)
            scale = numpyro.param(
                f"{prefix}_scale",
                jnp.full(jnp.shape(unconstrained), init_scale),
                constraint=constraints.softplus_positive,
            )
            base = dist.Normal(loc, scale).to_event(event_dim)
            frames = sorted(site["cond_indep_stack"], key=lambda frame: frame.dim)
            values[name] = _sample_within([plates[frame.name] for frame in frames], name, base, transform)
        return values

    def _sample_within(frames: list[Any], name: str, base: Any, transform: Any) -> Any:
        if frames:
            with frames[0]:
                return _sample_within(frames[1:], name, base, transform)
        return numpyro.sample(name, dist.TransformedDistribution(base, transform))

    return guide


GUIDE = Guide(
    name="mean_field",
    build=build,
    summary="Mean field by hand: one Normal per latent site in unconstrained space",
    family="diagonal",
    default=True,
    cite="Kucukelbir et al. (2017), Automatic Differentiation Variational Inference, JMLR 18(14), arXiv:1603.00788",
)
