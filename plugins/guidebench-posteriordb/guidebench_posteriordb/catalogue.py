"""The posteriors: for each, a line that says what it is, its model, and its data as the model's arguments.

Nothing heavy is imported before one of them is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from guidebench import Problem
from guidebench_posteriordb import arguments, draws
from guidebench_posteriordb.database import Database, locate

if TYPE_CHECKING:
    from guidebench.config import RunConfig

#: Every posterior is a problem called by this, a slash, and its name in the database.
PREFIX = "posteriordb"

CITE = (
    "Magnusson et al. (2025), posteriordb: Testing, Benchmarking and Developing Bayesian Inference Algorithms, "
    "AISTATS, arXiv:2407.04967"
)


@dataclass(frozen=True, kw_only=True)
class Posterior:
    """A posterior of the database and its translation.

    Attributes
    ----------
    name : str
        In the database.
    summary : str
        One line.
    model : str
        ``MODULE:FUNCTION`` in :mod:`guidebench_posteriordb.models`.
    arguments : callable
        From the database's data to the arguments of the model.
    sites : callable
        From the reference draws, by the database's names, to the latent sites of the model.
    """

    name: str
    summary: str
    model: str
    arguments: Callable[[Mapping[str, Any]], dict[str, Any]]
    sites: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]] = draws.as_they_are

    def declaration(self) -> Problem:
        """Return the problem without its data."""
        return Problem(name=f"{PREFIX}/{self.name}", load=self.load, summary=self.summary, cite=CITE)

    def load(self, config: RunConfig) -> Problem:
        """Return the problem with its data, from the database that the configuration or the environment names."""
        return self.problem(locate(config.posteriordb))

    def problem(self, database: Database) -> Problem:
        """Return the problem with its data and reference draws from a database.

        The draws are read here, so that what is known of the problem, the contents of the database included, can
        be told from the problem alone.
        """
        module, _, function = self.model.partition(":")
        known = draws.reference(database, self.name, self.sites)
        return Problem(
            name=f"{PREFIX}/{self.name}",
            model=getattr(import_module(f"guidebench_posteriordb.models.{module}"), function),
            kwargs=self.arguments(database.data(self.name)),
            reference_draws=lambda: known,
            summary=self.summary,
            cite=CITE,
        )


POSTERIORS = (
    Posterior(
        name="arK-arK",
        summary="An autoregression of order 5 on 200 simulated values",
        model="series:autoregression",
        arguments=arguments.autoregression,
    ),
    Posterior(
        name="eight_schools-eight_schools_noncentered",
        summary="Eight schools, non-centred",
        model="schools:noncentred",
        arguments=arguments.schools,
        sites=draws.standardised_effects,
    ),
    Posterior(
        name="eight_schools-eight_schools_centered",
        summary="Eight schools, centred: a funnel with data",
        model="schools:centred",
        arguments=arguments.schools,
    ),
    Posterior(
        name="earnings-logearn_height",
        summary="Log earnings on height",
        model="regression:flat_regression",
        arguments=arguments.earnings(np.log),
    ),
    Posterior(
        name="earnings-log10earn_height",
        summary="Earnings, in powers of ten, on height",
        model="regression:flat_regression",
        arguments=arguments.earnings(np.log10),
    ),
    Posterior(
        name="earnings-logearn_interaction",
        summary="Log earnings on height and sex, with their interaction: coefficients that are all but one",
        model="regression:flat_regression",
        arguments=arguments.earnings_by_sex,
    ),
    Posterior(
        name="earnings-logearn_interaction_z",
        summary="The same, height standardised",
        model="regression:flat_regression",
        arguments=arguments.earnings_by_sex_standardised,
    ),
    Posterior(
        name="kidiq-kidscore_momhs",
        summary="Test scores of children on whether their mothers finished high school",
        model="regression:half_cauchy_regression",
        arguments=arguments.kids("mom_hs"),
    ),
    Posterior(
        name="kidiq-kidscore_momiq",
        summary="Test scores of children on the IQ of their mothers",
        model="regression:half_cauchy_regression",
        arguments=arguments.kids("mom_iq"),
    ),
    Posterior(
        name="kidiq-kidscore_momhsiq",
        summary="Test scores of children on schooling and IQ of their mothers",
        model="regression:half_cauchy_regression",
        arguments=arguments.kids("mom_hs", "mom_iq"),
    ),
    Posterior(
        name="kidiq-kidscore_interaction",
        summary="Test scores of children on schooling and IQ of their mothers, with the interaction",
        model="regression:half_cauchy_regression",
        arguments=arguments.kids("mom_hs", "mom_iq", "mom_hs:mom_iq"),
    ),
    Posterior(
        name="kidiq_with_mom_work-kidscore_mom_work",
        summary="Test scores of children on four kinds of work of their mothers",
        model="regression:flat_regression",
        arguments=arguments.kids_by_work,
    ),
    Posterior(
        name="kidiq_with_mom_work-kidscore_interaction_c",
        summary="Test scores of children on schooling and IQ of their mothers, centred, with the interaction",
        model="regression:flat_regression",
        arguments=arguments.kids_centred,
    ),
    Posterior(
        name="gp_pois_regr-gp_regr",
        summary="Regression by a Gaussian process on eleven points",
        model="gaussian_process:gaussian_process",
        arguments=arguments.chosen("x", "y"),
    ),
    Posterior(
        name="low_dim_gauss_mix-low_dim_gauss_mix",
        summary="A mixture of two normals, 1,000 values",
        model="mixtures:two_normals",
        arguments=arguments.mixture,
    ),
    Posterior(
        name="mesquite-mesquite",
        summary="Weight of mesquite leaves on six measures of the bush",
        model="regression:flat_regression",
        arguments=arguments.mesquite,
    ),
    Posterior(
        name="mesquite-logmesquite",
        summary="The same in logarithms",
        model="regression:flat_regression",
        arguments=arguments.mesquite_in_logs,
    ),
    Posterior(
        name="mesquite-logmesquite_logvolume",
        summary="Log weight of mesquite leaves on the log volume of the canopy",
        model="regression:flat_regression",
        arguments=arguments.mesquite_volume,
    ),
    Posterior(
        name="nes1972-nes",
        summary="Party identification in the American election study of 1972, nine coefficients",
        model="regression:flat_regression",
        arguments=arguments.elections,
    ),
    Posterior(
        name="nes2000-nes",
        summary="Party identification in the American election study of 2000, nine coefficients",
        model="regression:flat_regression",
        arguments=arguments.elections,
    ),
    Posterior(
        name="sblri-blr",
        summary="A linear regression on five simulated predictors",
        model="regression:normal_regression",
        arguments=arguments.regression,
    ),
    Posterior(
        name="diamonds-diamonds",
        summary="Log price of 5,000 diamonds on 24 correlated predictors",
        model="regression:intercept_regression",
        arguments=arguments.diamonds,
    ),
    Posterior(
        name="hudson_lynx_hare-lotka_volterra",
        summary="Twenty-one years of lynxes and hares, by a differential equation",
        model="series:lotka_volterra",
        arguments=arguments.populations,
    ),
    Posterior(
        name="bball_drive_event_0-hmm_drive_0",
        summary="Drives in a basketball game by a hidden Markov chain, two exponential observations a step",
        model="mixtures:drives",
        arguments=arguments.drives,
    ),
    Posterior(
        name="hmm_example-hmm_example",
        summary="A hidden Markov chain with two states and normal observations",
        model="mixtures:normal_chain",
        arguments=arguments.mixture,
    ),
)
