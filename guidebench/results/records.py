"""What a run found: fits and comparisons, as data.

A :class:`Fit` is one guide trained on one problem; a :class:`Comparison` is all of them with the
configuration and the environment that made them.  Nothing here computes: the numbers come from
:mod:`guidebench.engine`, and :mod:`guidebench.results.store` writes and reads them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

from guidebench.contracts import Bound, MetricValue, Quantity
from guidebench.plugins.isolation.failures import Failure
from guidebench.results.findings import LENDERS, Chaining, Disagreement, Finding, ModeRecord, Refresher, Verdict
from guidebench.results.levels import Levels
from guidebench.results.work import APART, Work, total

if TYPE_CHECKING:
    import pandas as pd

    from guidebench.results.inference_data import InferenceData

#: Columns of ``summary.csv`` before and after those of metrics.
FIRST_COLUMNS = ("problem", "guide", "plugin", "status", "message", "bound")
LAST_COLUMNS = ("verdict", "steps", "restarts", "compile_s", "train_s", "evaluate_s")


def summary_columns(quantities: Iterable[Quantity]) -> tuple[str, ...]:
    """Return the columns of ``summary.csv``, in order: those of metrics in the order of their declarations."""
    return (*FIRST_COLUMNS, *(name for one in quantities for name in one.column_names()), *LAST_COLUMNS)


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
    sites : mapping of str to Verdict
        The verdict on each latent site alone, by the same rule on its own components.
    evidence : tuple of Finding
        What the verdict rests on: what each source of evidence said, and what could not be looked at.
    chains : Chaining or None
        What chains from the guide's draws did; ``None`` where none were run.
    refreshed_by : {"", "chains", "mixture", "groups"}
        Whose draws are the refreshed ones: those of chains that began at the guide's draws, or of the mixture or of
        groups of chains, which owe nothing to the guide; nothing where there are none.
    draws_judged, draws_kept : int
        How many of its draws the numbers and the verdict are of, and how many of them, the first, are kept, shown and
        predicted with.
    scored_in : {"", "float32", "float64"}
        The precision in which its draws were made and scored; nothing where there are none.
    rounding : float or None
        Standard deviation, in nats, of what float32 adds to the log weights of its draws; ``None`` where it was not
        looked at.
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
    iterations : int
        How many of the steps are iterations of L-BFGS under fixed noise: the first round, where there are any.
    restarts : tuple of Restart
        All of them; `best` is the index of the one whose draws are kept.
    metrics : tuple of MetricValue
        Everything that ``metrics.csv`` holds for this fit.
    compile_s, train_s, evaluate_s, simulate_s : float
        Wall time in seconds.
    work : mapping of str to Work
        What each phase has computed, and for how long: ``training``, ``scoring``, ``judging`` and ``simulations``, as
        far as it got there; of a method of the guide's own, only what it says itself.
    left_out : tuple of str
        What was cut short or not done because the budget of the run was spent.
    inference_data : InferenceData or None
        Draws of the best restart, with the extra groups ``training`` (loss and parameters) and ``refreshed`` (the
        draws of settled chains, or those lent in their place; its attribute ``source`` says which).
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
    sites: Mapping[str, Verdict] = field(default_factory=dict)
    evidence: tuple[Finding, ...] = ()
    chains: Chaining | None = None
    refreshed_by: Refresher = ""
    draws_judged: int = 0
    draws_kept: int = 0
    scored_in: str = ""
    rounding: float | None = None
    message: str = ""
    summary: str = ""
    cite: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    coordinates: str = ""
    method: str = ""
    steps: int = 0
    stopped: bool = False
    rounds: tuple[int, ...] = ()
    iterations: int = 0
    restarts: tuple[Restart, ...] = ()
    best: int = 0
    metrics: tuple[MetricValue, ...] = ()
    compile_s: float | None = None
    train_s: float | None = None
    evaluate_s: float | None = None
    simulate_s: float | None = None
    work: Mapping[str, Work] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    inference_data: InferenceData | None = field(default=None, repr=False, compare=False)
    failures: tuple[Failure, ...] = field(default=(), repr=False)

    @property
    def own_verdict(self) -> Verdict:
        """The verdict on what the guide itself gave: draws that were lent in its place are no merit of its own."""
        lent = self.verdict is Verdict.REFRESH and self.refreshed_by in LENDERS
        return Verdict.DISTRUST if lent else self.verdict

    @property
    def traceback(self) -> str:
        """The traceback of the exception that ended a failed fit."""
        return "" if self.status.has_draws else "\n".join(one.traceback for one in self.failures if one.traceback)

    def metric(self, name: str, variable: str = "") -> MetricValue | None:
        """Return one metric of this fit, or ``None`` where it is not defined for it."""
        return self._by_name.get((name, variable))

    @cached_property
    def _by_name(self) -> Mapping[tuple[str, str], MetricValue]:
        return {(one.metric, one.variable): one for one in reversed(self.metrics)}  # the first of equals

    def value(self, name: str, variable: str = "") -> float | None:
        """Return the value of one metric, or ``None`` where it is not defined for this fit."""
        found = self.metric(name, variable)
        return None if found is None else found.value

    @property
    def seconds(self) -> float | None:
        """Wall time of compiling, training and scoring in seconds, as far as it is known; ``None`` without any."""
        known = [part for part in (self.compile_s, self.train_s, self.evaluate_s) if part is not None]
        return sum(known) if known else None

    @property
    def gradients(self) -> int | None:
        """Gradients that this guide cost, but for simulated data; ``None`` where its own method did not count them."""
        if "training" not in self.work:
            return None
        return total(work for phase, work in self.work.items() if phase not in APART).gradients

    def row(self, quantities: Iterable[Quantity] = ()) -> dict[str, Any]:
        """Return this fit's row of ``summary.csv``, with the metrics among `quantities` that have a column there.

        ``None`` stands for an empty cell.
        """
        own: dict[str, Any] = {
            "problem": self.problem,
            "guide": self.guide,
            "plugin": self.plugin,
            "status": str(self.status),
            "message": self.message or None,
            "bound": self.bound,
            "verdict": str(self.verdict),
            "steps": self.steps or None,
            "restarts": len(self.restarts) or None,
            "compile_s": self.compile_s,
            "train_s": self.train_s,
            "evaluate_s": self.evaluate_s,
        }
        for one in quantities:
            found = self.metric(one.name)
            for name, part in zip(one.column_names(), one.columns, strict=True):
                own[name] = None if found is None else getattr(found, part)
        return own

    def __repr__(self) -> str:
        elbo = self.metric("elbo")
        told = "" if elbo is None else f", ELBO {elbo.value:.3f}" + ("" if elbo.mcse is None else f" ± {elbo.mcse:.3f}")
        return f"<Fit {self.guide} on {self.problem}: {self.verdict}, {self.status}{told}>"


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
        What the reference is ("exact posterior", "mixture", "NUTS", the name of a file), or nothing where none is
        used.
    reference_checks : mapping of str to float
        Of the reference, or of one that failed: ``chains``, ``draws``, the worst ``rhat``, ``ess_bulk`` and
        ``ess_tail`` of all scalar components, and ``divergences``, as far as they are known; of a mixture ``draws``,
        the tail shape ``khat`` of its weights and how many draws they are worth, ``ess``.
    reference_doubts : tuple of str
        Latent sites of which chains that were to be the reference contradict each other (R-hat above 1.05).
    unchecked : tuple of str
        Latent sites of which the reference has no draws.
    disagreement : Disagreement or None
        Two kinds of reference that were computed and contradict each other: then none is used.
    reference_note : str
        How it was made, what was not checked, or why none is used.
    reference_s : float or None
        Wall time in seconds that its draws took, compiling included, whether they passed their checks or not; ``None``
        where they were not drawn for this.
    predictor : str or None
        The argument that varies along the prediction grid, where there is exactly one such array.
    heldout_size : int
        Number of held-out observations.
    notes : tuple of str
        What a reader should know of the model (``numpyro.param`` sites, ignored factors, ...).
    search : str
        What the search before training saw: from how many starts, how many modes, and whether these are likely to be
        all; nothing where nothing was searched.
    modes : tuple of ModeRecord
        Those that count, where it met several, the heaviest first.
    warnings : tuple of str
        Those of the notes that were said before training: an improper posterior, an observed argument left out,
        data that are not finite.
    features : mapping of str to float
        What may make it hard: its ``dimension``, ``correlation``, ``condition``, ``scale_range``, ``skewness`` and
        ``curvature`` in unconstrained coordinates (see :mod:`guidebench.engine.features`), as far as they are known.
    work : mapping of str to Work
        What all guides share: the ``search`` before training, each kind of reference that was tried (``mixture``,
        ``chains``, ``nuts``), a ``witness`` to judge by, and ``simulations``.
    left_out : tuple of str
        What of that was cut short or not done because the budget of the run was spent.
    fingerprints : mapping of str to str
        Of the code of its ``model``, and as ``data ARGUMENT`` of each argument, as far as they have any.
    levels : mapping of str to tuple
        By latent site, the names of the levels along each axis, as far as they have any
        (see :mod:`guidebench.results.levels`).
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
    reference_doubts: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()
    disagreement: Disagreement | None = None
    reference_note: str = ""
    reference_s: float | None = None
    predictor: str | None = None
    heldout_size: int = 0
    notes: tuple[str, ...] = ()
    search: str = ""
    modes: tuple[ModeRecord, ...] = ()
    warnings: tuple[str, ...] = ()
    features: Mapping[str, float] = field(default_factory=dict)
    work: Mapping[str, Work] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    levels: Levels = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The result of a run: every fit, what made it, and where.

    ``comparison["auto_normal"]`` is a fit (with several problems: ``comparison["problem", "guide"]``); to
    iterate is to go through all of them.

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
    quantities : tuple of Quantity
        What the numbers of the fits mean, as it was declared when they were computed; empty where nobody kept it.
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
    quantities: tuple[Quantity, ...] = field(default=(), repr=False)

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

        columns = list(summary_columns(self.quantities))
        table = pd.DataFrame([fit.row(self.quantities) for fit in self.fits], columns=columns)
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

    @property
    def inference_data(self) -> Mapping[Any, InferenceData]:
        """The draws by guide, or by ``(problem, guide)`` with several problems, of the fits that have any."""
        several = len(self.problems) > 1
        return {
            (fit.problem, fit.guide) if several else fit.guide: fit.inference_data
            for fit in self.fits
            if fit.inference_data is not None
        }

    def __repr__(self) -> str:
        counts = Counter(str(fit.verdict) for fit in self.fits)
        verdicts = ", ".join(f"{counts[one]} {one}" for one in map(str, Verdict) if counts[one])
        fits = f"{len(self.fits)} fit{'' if len(self.fits) == 1 else 's'}"
        return f"<Comparison {self.name}: {fits}{f' ({verdicts})' if verdicts else ''}>"
