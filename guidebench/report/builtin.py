"""The report's own sections, registered through the same hook as anybody's."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from importlib import import_module
from typing import Any

from guidebench.contracts import Page, Section
from guidebench.plugins.hookspecs import hookimpl

#: Order, name (and module in :mod:`guidebench.report.sections`), heading, summary.  The default order
#: of a section, 500, puts a plugin's after the figures and before the long tables.
SECTIONS = (
    (10, "summary", "Summary", "The verdict on every guide, and the numbers behind it"),
    (15, "differences", "Ties", "Which guides differ in their ELBO by more than noise"),
    (18, "off", "What is off", "Intervals of the worst quantities beside those they should be, and every error"),
    (20, "data", "Data", "The observations with their error bars"),
    (30, "loss", "Training loss", "Loss of every restart of every guide"),
    (40, "parameters", "Training of the parameters", "Locations and scales over the training steps"),
    (50, "marginals", "Marginal posteriors", "Density, mean and sd of each latent component"),
    (55, "errors", "Against the reference", "Errors of means, sds, marginals and correlations"),
    (57, "weights", "Where weights are large", "Tails of the importance weights, the draws that carry them, and modes"),
    (60, "joints", "Joint posteriors", "Densities of pairs of latent components"),
    (70, "correlations", "Correlations", "Correlation matrices side by side"),
    (80, "prediction", "Predictive bands", "Quantiles of the prediction over the grid"),
    (85, "check", "Does the model fit", "The data beside data that the model predicts, with p-values"),
    (90, "coverage", "Predictive coverage", "Observed against nominal coverage on held-out data"),
    (95, "calibration", "Calibration by simulation", "True coverage of the intervals over data drawn from the model"),
    (97, "cost", "What it cost, beside NUTS", "Gradients and seconds of every guide, phase by phase"),
    (98, "home", "Take it home", "The lines of Python that load the guide and the draws to use"),
    (900, "numbers", "All numbers", "Every metric, every restart, every time"),
    (990, "provenance", "How this was made", "Recipe, configuration, environment, guides and failures"),
)


def _build(module: str, page: Page) -> Any:
    # Declaring must cost nothing: the module, and with it the plotting library, is imported when
    # the section is built.
    return import_module(f"guidebench.report.sections.{module}").build(page)


@hookimpl
def guidebench_sections() -> Iterator[Section]:
    """Declare the built-in sections."""
    for order, name, title, summary in SECTIONS:
        yield Section(name=name, title=title, build=partial(_build, name), order=order, summary=summary)
