"""Eight schools, centred as it is first written down, and non-centred as it is then rewritten."""

import numpyro
import numpyro.distributions as dist
from numpyro.handlers import reparam
from numpyro.infer.reparam import LocScaleReparam


def eight_schools(J, sigma, y=None):  # noqa: N803 - as in the literature
    mu = numpyro.sample("mu", dist.Normal(0, 5))
    tau = numpyro.sample("tau", dist.HalfCauchy(5))
    with numpyro.plate("J", J):
        theta = numpyro.sample("theta", dist.Normal(mu, tau))
        numpyro.sample("obs", dist.Normal(theta, sigma), obs=y)


def eight_schools_noncentered(J, sigma, y=None):  # noqa: N803
    with reparam(config={"theta": LocScaleReparam(0)}):
        eight_schools(J, sigma, y)
