"""What a run found: fits and comparisons, as data.

A :class:`Fit` is one guide trained on one problem; a :class:`Comparison` is all of them with the
configuration and the environment that made them.  Nothing here computes: the numbers come from
:mod:`guidebench.engine`, and :mod:`guidebench.results.store` writes and reads them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from guidebench.contracts import Bound, MetricValue
from guidebench.plugins.isolation.failures import Failure

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from guidebench.report.content import Figure
    from guidebench.results.inference_data import InferenceData

#: Columns of ``summary.csv``, in order.  Those in the middle are metrics of the same name.
SUMMARY_COLUMNS = (
    *("problem", "guide", "plugin", "status", "message", "bound"),
    *("elbo", "elbo_mcse", "elbo_restart_sd", "log_evidence", "khat", "khat_threshold", "ess"),
    *("mean_error", "sd_error", "w1_error", "correlation_error"),
    *("coverage_50", "coverage_80", "coverage_90", "coverage_95", "calibration_error", "crps", "elpd"),
    *("verdict", "steps", "restarts", "compile_s", "train_s", "evaluate_s"),
)


class Status(StrEnum):
    """How training ended."""

    CONVERGED = "converged"
    MAX_STEPS = "max_steps"
    DIVERGED = "diverged"
    UNSUPPORTED = "unsupported"
    FAILED = "failed"

    @property
    def has_draws(self) -> bool:
        """Whether there is something to score."""
        return self in (Status.CONVERGED, Status.MAX_STEPS)


class Verdict(StrEnum):
    """How far a guide's draws can be trusted."""

    TRUST = "trust"
    REWEIGHT = "reweight"
    DISTRUST = "distrust"
    POINT = "point"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Restart:
    """One training run from one starting point.

    ``elbo`` and ``elbo_mcse`` are in nats and ``None`` for a point estimate; ``loss`` is the mean
    training loss over the last tenth of the steps; ``skipped`` counts steps with a non-finite loss
    or gradient, which were not taken.
    """

    index: int
    status: Status
    loss: float
    elbo: float | None = None
    elbo_mcse: float | None = None
    skipped: int = 0


@dataclass(frozen=True, kw_only=True)
class Fit:
    """One guide trained on one problem.

    Attributes
    ----------
    problem, guide : str
        Names; `guide` carries the options that differ from their defaults (``bnaf:hidden_factor=16``).
    plugin : str
        Distribution that brought the guide.
    status, message : Status, str
        How training ended, and why where that needs words.
    verdict, reason : Verdict, str
        How far to trust the draws, and one sentence on why.
    coordinates : str
        In which the guide was trained: the model's ``own``, its ``unconstrained`` ones, or these
        standardised coordinate by coordinate (``diagonal``) or fully (``affine``).
    method : str
        How the guide found its parameters itself; nothing where it was trained by the recipe of the run.
    steps : int
        Optimiser steps of each restart.
    stopped : bool
        Whether data that were held back from training stopped it early.
    rounds : tuple of int
        The steps round by round, where training went on because it had not settled.
    restarts : tuple of Restart
        All of them; `best` is the index of the one whose draws are kept.
    metrics : tuple of MetricValue
        Everything that ``metrics.csv`` holds for this fit.
    compile_s, train_s, evaluate_s, simulate_s : float
        Wall time in seconds.
    inference_data : InferenceData or None
        Draws of the best restart, with the extra group ``training`` (loss and parameters).
    failures : tuple of Failure
        What went wrong and whose it was: what ended a failed fit, or each metric that could not be computed.
    """

    problem: str
    guide: str
    plugin: str
    status: Status
    bound: Bound
    verdict: Verdict
    reason: str = ""
    message: str = ""
    summary: str = ""
    cite: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    coordinates: str = ""
    method: str = ""
    steps: int = 0
    stopped: bool = False
    rounds: tuple[int, ...] = ()
    restarts: tuple[Restart, ...] = ()
    best: int = 0
    metrics: tuple[MetricValue, ...] = ()
    compile_s: float | None = None
    train_s: float | None = None
    evaluate_s: float | None = None
    simulate_s: float | None = None
    inference_data: InferenceData | None = field(default=None, repr=False, compare=False)
    failures: tuple[Failure, ...] = field(default=(), repr=False)

    @property
    def traceback(self) -> str:
        """The traceback of the exception that ended a failed fit."""
        return "" if self.status.has_draws else "\n".join(one.traceback for one in self.failures if one.traceback)

    def metric(self, name: str, variable: str = "") -> MetricValue | None:
        """Return one metric of this fit, or ``None`` where it is not defined for it."""
        for found in self.metrics:
            if found.metric == name and found.variable == variable:
                return found
        return None

    def value(self, name: str, variable: str = "") -> float | None:
        """Return the value of one metric, or ``None`` where it is not defined for this fit."""
        found = self.metric(name, variable)
        return None if found is None else found.value

    def row(self) -> dict[str, Any]:
        """Return this fit's row of ``summary.csv``; ``None`` stands for an empty cell."""
        elbo = self.metric("elbo")
        own = {
            "problem": self.problem,
            "guide": self.guide,
            "plugin": self.plugin,
            "status": str(self.status),
            "message": self.message or None,
            "bound": self.bound,
            "elbo_mcse": None if elbo is None else elbo.mcse,
            "verdict": str(self.verdict),
            "steps": self.steps or None,
            "restarts": len(self.restarts) or None,
            "compile_s": self.compile_s,
            "train_s": self.train_s,
            "evaluate_s": self.evaluate_s,
        }
        return {column: own[column] if column in own else self.value(column) for column in SUMMARY_COLUMNS}

    def __repr__(self) -> str:
        elbo = self.metric("elbo")
        told = "" if elbo is None else f", ELBO {elbo.value:.3f}" + ("" if elbo.mcse is None else f" ± {elbo.mcse:.3f}")
        return f"<Fit {self.guide} on {self.problem}: {self.verdict}, {self.status}{told}>"

    def _repr_html_(self) -> str:
        from guidebench.report.notebook import fit_html

        return fit_html(self)


@dataclass(frozen=True, kw_only=True)
class ProblemRecord:
    """What the report needs to know of a problem.

    Attributes
    ----------
    latents, observed : tuple of str
        Names of latent and observed sites.
    truth : mapping
        True values of latent sites (nested lists), where known.
    noise_sd : mapping
        Per observed site, the sd of each observation given the true values, where known.
    reference : str
        What the reference is ("exact posterior", "NUTS", the name of a file), or nothing where none is used.
    reference_checks : mapping of str to float
        Of the reference, or of one that failed: ``chains``, ``draws``, the worst ``rhat``, ``ess_bulk`` and
        ``ess_tail`` of all scalar components, and ``divergences``, as far as they are known.
    reference_note : str
        How it was made, what was not checked, or why none is used.
    predictor : str or None
        The argument that varies along the prediction grid, where there is exactly one such array.
    heldout_size : int
        Number of held-out observations.
    notes : tuple of str
        What a reader should know of the model (``numpyro.param`` sites, ignored factors, ...).
    features : mapping of str to float
        What may make it hard: its ``dimension``, ``correlation``, ``condition``, ``scale_range``, ``skewness`` and
        ``curvature`` in unconstrained coordinates (see :mod:`guidebench.engine.features`), as far as they are known.
    """

    name: str
    summary: str = ""
    cite: str = ""
    latents: tuple[str, ...] = ()
    observed: tuple[str, ...] = ()
    truth: Mapping[str, Any] = field(default_factory=dict)
    noise_sd: Mapping[str, Any] = field(default_factory=dict)
    log_evidence: float | None = None
    reference: str = ""
    reference_checks: Mapping[str, float] = field(default_factory=dict)
    reference_note: str = ""
    predictor: str | None = None
    heldout_size: int = 0
    notes: tuple[str, ...] = ()
    features: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The result of a run: every fit, what made it, and where.

    ``comparison["auto_normal"]`` is a fit (with several problems: ``comparison["problem", "guide"]``); to
    iterate is to go through all of them.  In a notebook it shows the summary of the report.

    Attributes
    ----------
    name : str
        What it is called.
    problems : tuple of ProblemRecord
        What was fitted.
    fits : tuple of Fit
        Every guide on every problem, in the order of the run.
    recipe : str
        How guides were trained, in words.
    config, environment : mapping
        Every setting, and the versions and devices.
    references : mapping
        Draws from the true posterior by problem, where there are any.
    interrupted : bool
        Whether the run was stopped before all fits were made.
    kept : int
        How many of the fits an earlier run had made; their times are those of that run.
    failures : tuple of Failure
        Plugins that could not be loaded, and sections of the report that could not be made.
    sections : sequence or None
        What the report consists of; by default the sections of every installed plugin.
    """

    name: str
    problems: tuple[ProblemRecord, ...]
    fits: tuple[Fit, ...]
    recipe: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    references: Mapping[str, InferenceData] = field(default_factory=dict, repr=False, compare=False)
    interrupted: bool = False
    kept: int = 0
    failures: tuple[Failure, ...] = field(default=(), repr=False)
    sections: Sequence[Any] | None = field(default=None, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        # Sections are functions, which a pickle does not hold; those of the installed plugins take their place.
        return {**self.__dict__, "sections": None}

    def all_failures(self) -> tuple[Failure, ...]:
        """Return what went wrong anywhere in the run, that of its fits included, each once."""
        found = (*self.failures, *(one for fit in self.fits for one in fit.failures))
        return tuple({str(one): one for one in found}.values())

    def __iter__(self) -> Iterator[Fit]:
        return iter(self.fits)

    def __len__(self) -> int:
        return len(self.fits)

    def __getitem__(self, key: str | tuple[str, str]) -> Fit:
        matches = [
            fit for fit in self.fits if (fit.problem, fit.guide) == key or (isinstance(key, str) and fit.guide == key)
        ]
        if len(matches) == 1:
            return matches[0]
        known = ", ".join(sorted({fit.guide for fit in self.fits}))
        if not matches:
            raise KeyError(f"no fit {key!r} in this comparison; its guides are {known}")
        raise KeyError(f"guide {key!r} was trained on several problems; ask for (problem, guide)")

    def of(self, problem: str) -> tuple[Fit, ...]:
        """Return the fits of one problem, in the order of the run."""
        return tuple(fit for fit in self.fits if fit.problem == problem)

    def summary(self) -> pd.DataFrame:
        """Return the summary table: one row per problem and guide, the columns of ``summary.csv``."""
        import pandas as pd

        table = pd.DataFrame([fit.row() for fit in self.fits], columns=list(SUMMARY_COLUMNS))
        # Nullable integers: an empty cell must not turn the column into floats.
        return table.astype({"steps": "Int64", "restarts": "Int64"})

    def metrics(self) -> pd.DataFrame:
        """Return every metric in tidy form: problem, guide, metric, variable, value, mcse."""
        import pandas as pd

        columns = ["problem", "guide", "metric", "variable", "value", "mcse"]
        rows = [
            (fit.problem, fit.guide, found.metric, found.variable, found.value, found.mcse)
            for fit in self.fits
            for found in fit.metrics
        ]
        return pd.DataFrame(rows, columns=columns)

    def table(self, metric: str) -> pd.DataFrame:
        """Return one metric as a table: a row per problem, a column per guide.

        Parameters
        ----------
        metric : str
            A metric by name; or ``error`` (the larger of the errors of mean and sd), ``elbo_gap`` (nats below the
            best ELBO of the problem) or ``seconds`` (compiling, training and scoring).

        Returns
        -------
        DataFrame
            A missing value is "not defined for this guide on this problem", never zero.
        """
        from guidebench.analysis import problems as across

        # A table needs no direction: a metric whose plugin is not there any more can be shown, too.
        return across.table(self, across.find_measure(metric, otherwise="none"))

    def ranks(self, metric: str = "error", *, better: Literal["lower", "higher"] | None = None) -> pd.DataFrame:
        """Return how guides rank over the problems, the best first.

        Only problems on which all compared guides have the metric count.  The tests are in ``attrs``; with a
        handful of problems there are none, and the reason takes their place.

        Parameters
        ----------
        metric : str
            As in :meth:`table`.
        better : {"lower", "higher"}, optional
            Which direction is better, for a metric that no installed plugin declares.

        Returns
        -------
        DataFrame
            A row per guide with ``rank`` (the average over problems, ties averaged) and ``median``.  ``attrs`` has
            ``problems`` (how many), ``left_out`` (guides that are not compared, and on how many problems they have
            the metric), ``p_value`` (Friedman's test), ``concordance`` (Kendall's W), ``reason`` (why there is no
            test) and ``pairs`` (a :class:`~guidebench.analysis.problems.pairs.PairedTest` for every two guides).

        Raises
        ------
        RequestError
            Where nothing says which direction is better.
        """
        import pandas as pd

        from guidebench.analysis import problems as across
        from guidebench.config.errors import RequestError

        measure = across.find_measure(metric, better)
        if measure.better not in ("lower", "higher"):
            raise RequestError(f"guides cannot be ranked by {metric}, of which {measure.better} is better")
        found = across.ranking(across.table(self, measure), measure.better)
        ranks = pd.DataFrame({"rank": found.ranks, "median": found.medians})
        ranks.index.name = "guide"
        ranks.attrs = {
            "problems": len(found.problems),
            "left_out": dict(found.left_out),
            "p_value": found.p_value,
            "concordance": found.concordance,
            "reason": found.reason,
            "pairs": found.pairs,
        }
        return ranks

    @property
    def inference_data(self) -> Mapping[Any, InferenceData]:
        """The draws by guide, or by ``(problem, guide)`` with several problems, of the fits that have any."""
        several = len(self.problems) > 1
        return {
            (fit.problem, fit.guide) if several else fit.guide: fit.inference_data
            for fit in self.fits
            if fit.inference_data is not None
        }

    @cached_property
    def figures(self) -> Mapping[str, Figure]:
        """The figures of the report by name, drawn when one is asked for.

        Each shows itself in a notebook and has a method ``save(path)``.
        """
        from guidebench.report.notebook import Figures

        return Figures(self)

    def save(self, path: str | Path) -> Path:
        """Write the results to a folder and return it; see :func:`guidebench.results.store.save`."""
        from guidebench.results.store import save

        return save(self, path)

    @staticmethod
    def load(path: str | Path) -> Comparison:
        """Read results from a folder that :meth:`save` or a run wrote; see :func:`guidebench.results.store.load`."""
        from guidebench.results.store import load

        return load(path)

    def report(self, path: str | Path) -> Path:
        """Save the results and write the report beside them; return the path of ``report.html``.

        Sections that fail leave a note in their place, and are named in ``results.json``.
        """
        from guidebench.report import write
        from guidebench.results.store import record

        self.save(path)
        failures: list[Failure] = []
        page = write(self, path, log_loss=bool(self.config.get("log_loss")), on_failure=failures.append)
        record(path, failures)
        return page

    def __repr__(self) -> str:
        counts = Counter(str(fit.verdict) for fit in self.fits)
        verdicts = ", ".join(f"{counts[one]} {one}" for one in map(str, Verdict) if counts[one])
        fits = f"{len(self.fits)} fit{'' if len(self.fits) == 1 else 's'}"
        return f"<Comparison {self.name}: {fits}{f' ({verdicts})' if verdicts else ''}>"

    def _repr_html_(self) -> str:
        from guidebench.report.notebook import comparison_html

        return comparison_html(self)
