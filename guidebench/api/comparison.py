"""Results as a script or a notebook has them: the records of a run, and what can be done with them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from guidebench.analysis import usable
from guidebench.config.errors import RequestError
from guidebench.plugins.isolation.failures import Failure
from guidebench.request import declared
from guidebench.results import passport, records, store

if TYPE_CHECKING:
    import pandas as pd

    from guidebench.analysis.answer import Answer
    from guidebench.analysis.models.loo import Loo
    from guidebench.api.trained import NutsStart, Sources, Trained
    from guidebench.report.content import Figure
    from guidebench.results.inference_data import InferenceData


class Fit(records.Fit):
    """One guide trained on one problem, which shows itself in a notebook; the attributes are those of the record."""

    @classmethod
    def from_record(cls, fit: records.Fit) -> Fit:
        """Return a fit that shows itself."""
        return fit if isinstance(fit, cls) else cls(**_parts(fit))

    @cached_property
    def trained(self) -> Trained:
        """The trained guide itself: ``.guide`` and ``.params`` for NumPyro, ``.sample``, ``.log_prob``, ``.predict``.

        Raises
        ------
        RequestError
            Where nothing was trained, or the fit was read from disk without its model
            (:func:`guidebench.load_guide` puts them together).
        """
        from guidebench.api.trained import trained_of

        return trained_of(self, self.__dict__.get("_run"))

    def nuts_start(self, chains: int = 4, *, seed: int = 0) -> NutsStart:
        """Return where NumPyro's NUTS may start, and its inverse mass matrix, by the draws of this fit.

        The draws are repaired as the verdict says: those of settled chains, or resampled by their weights.  Parameters
        and result are those of :meth:`guidebench.Trained.nuts_start`.
        """
        from guidebench.analysis.usable import usable
        from guidebench.results import inference_data as idata

        record = records.ProblemRecord(name=self.problem)
        posterior = idata.group(usable((self,), record, None, seed), "posterior")
        if posterior is None:
            return self.trained.nuts_start(chains, seed=seed)
        names = [one.name for one in self.trained.state.sites]
        latents = {name: (value := posterior[name].to_numpy()).reshape(-1, *value.shape[2:]) for name in names}
        return self.trained.nuts_start(chains, seed=seed, latents=latents)

    def __getstate__(self) -> dict[str, Any]:
        # A model is a function, which a pickle does not hold.
        return {name: value for name, value in self.__dict__.items() if name not in ("_run", "trained")}

    def _repr_html_(self) -> str:
        from guidebench.report.notebook import fit_html

        return fit_html(self)


@dataclass(frozen=True, kw_only=True, repr=False)
class Comparison(records.Comparison):
    """The result of a run: every fit, what made it, and where.

    ``comparison["auto_normal"]`` is a fit (with several problems: ``comparison["problem", "guide"]``); to
    iterate is to go through all of them.  In a notebook it shows the summary of the report.  The other attributes
    are those of the record, :class:`guidebench.results.Comparison`.

    Attributes
    ----------
    sections : sequence or None
        What the report consists of; by default the sections of every installed plugin.
    sources : Sources or None
        The models and guides of the run, where it was made here.
    """

    sections: Sequence[Any] | None = field(default=None, compare=False)
    sources: Sources | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "fits", tuple(map(Fit.from_record, self.fits)))
        if self.sources is not None:
            for fit in self.fits:
                fit.__dict__["_run"] = self
        if not self.quantities:  # saved before they were, or made by hand
            names = {found.metric for fit in self.fits for found in fit.metrics}
            object.__setattr__(self, "quantities", declared.installed(names))

    @classmethod
    def from_record(
        cls, record: records.Comparison, sections: Sequence[Any] | None = None, sources: Sources | None = None
    ) -> Comparison:
        """Return a record with what can be done with it."""
        given = {"sections": sections, "sources": sources}
        return cls(**{**_parts(record), **{name: value for name, value in given.items() if value is not None}})

    def __getstate__(self) -> dict[str, Any]:
        # Sections and models are functions, which a pickle does not hold; in the place of the former come those of the
        # installed plugins.
        return {**self.__dict__, "sections": None, "sources": None}

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
        return across.table(self, across.find_measure(self.quantities, metric, otherwise="none"))

    def ranks(self, metric: str = "error", *, better: Literal["lower", "higher"] | None = None) -> pd.DataFrame:
        """Return how guides rank over the problems, the best first.

        Only problems on which all compared guides have the metric count.  The tests are in ``attrs``; with a
        handful of problems there are none, and the reason takes their place.

        Parameters
        ----------
        metric : str
            As in :meth:`table`.
        better : {"lower", "higher"}, optional
            Which direction is better, where the run does not say so of the metric.

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

        measure = across.find_measure(self.quantities, metric, better)
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

    def posterior(self, problem: str | None = None) -> InferenceData | None:
        """Return the best draws of a problem that this run can stand behind, whoever made them.

        Those of a guide that is trusted, of chains that repaired one, of a guide resampled by its weights, or of the
        reference, in this order, as the recommendation says.

        Parameters
        ----------
        problem : str, optional
            Its name, where the run had several.

        Returns
        -------
        InferenceData or None
            What the draws are is said by the attributes of its group ``posterior``: ``source`` (``guide``, ``chains``,
            ``weights``, ``reference`` or ``mixture``), ``guide``, ``problem`` and ``reason``.  ``None``, with a warning
            that says why and what to try, where no draws can be used.

        Raises
        ------
        RequestError
            Where the run had several problems and none is named, or none of that name.
        """
        from guidebench.analysis.recommendation import recommend
        from guidebench.analysis.usable import usable

        record = self._named(problem)
        fits = [fit for fit in self.fits if fit.problem == record.name]
        seed = int(self.config.get("seed", 0))
        found = usable(fits, record, self.references.get(record.name), seed)
        if found is None:
            warnings.warn(f"{record.name}: {recommend(fits, record)}", UserWarning, stacklevel=2)
        return found

    def loo(self, guide: str | None = None, problem: str | None = None) -> Loo:
        """Return PSIS leave-one-out of a problem, by the draws of a guide with their weights.

        Parameters
        ----------
        guide : str, optional
            Whose draws; those of the guide that is recommended by default.
        problem : str, optional
            Its name, where the run had several.

        Returns
        -------
        Loo
            ``elpd`` with ``se`` in nats, ``p_loo``, and ``pointwise`` and ``khat`` by observation.

        Raises
        ------
        RequestError
            Where the verdict or a Pareto k-hat forbids it, with the reason.
        """
        from guidebench.analysis.models.loo import loo

        return loo(self.of(self._named(problem).name), guide)

    def _named(self, problem: str | None) -> records.ProblemRecord:
        names = [one.name for one in self.problems]
        if problem is None and len(names) != 1:
            raise RequestError(f"there are several problems; name one of {', '.join(names)}")
        if problem is not None and problem not in names:
            raise RequestError(f"there is no problem {problem!r}; name one of {', '.join(names)}")
        return next(one for one in self.problems if problem in (None, one.name))

    @cached_property
    def recommendation(self) -> Mapping[str, Answer]:
        """What to do about each problem, by its name: a sentence, whose draws to use, and a line for each guide.

        The same is in ``results.json``, under the key ``recommendation``.
        """
        from guidebench.analysis.answer import answer

        return {one.name: answer(self.of(one.name), one) for one in self.problems}

    @cached_property
    def figures(self) -> Mapping[str, Figure]:
        """The figures of the report by name, drawn when one is asked for.

        Each shows itself in a notebook and has a method ``save(path)``.
        """
        from guidebench.report.notebook import Figures

        return Figures(self, self.sections)

    def save(self, path: str | Path) -> Path:
        """Write the results to a folder and return it; see :func:`guidebench.results.store.save`."""
        from guidebench.api import answers

        beside = {**passport.files_of(self), **usable.files_of(self)}
        return store.save(self, path, beside=beside, told=answers.told(self))

    @staticmethod
    def load(path: str | Path) -> Comparison:
        """Read results from a folder that :meth:`save` or a run wrote; see :func:`load`."""
        return load(path)

    def report(self, path: str | Path) -> Path:
        """Save the results and write the report beside them; return the path of ``report.html``.

        Sections that fail leave a note in their place, and are named in ``results.json``.
        """
        from guidebench.report import write
        from guidebench.report.writer import files_of

        self.save(path)
        failures: list[Failure] = []
        page = write(
            self,
            path,
            sections=self.sections,
            log_loss=bool(self.config.get("log_loss")),
            on_failure=failures.append,
        )
        store.record(path, failures, files_of(Path(path)))
        return page

    def _repr_html_(self) -> str:
        from guidebench.report.notebook import comparison_html

        return comparison_html(self)


def load(path: str | Path, *, changed: Callable[[str], None] | None = None) -> Comparison:
    """Read a comparison that :meth:`Comparison.save` or a run wrote.

    Parameters
    ----------
    path : str or Path
        The folder.
    changed : callable, optional
        Is told of each file beside the results, in one line, that is not as it was written; by default a warning is.

    Warns
    -----
    UserWarning
        Where a file that is not read here, as ``summary.csv``, is not as it was written.

    Raises
    ------
    ResultsError
        Where the folder holds no results, results of another version, or such that are not as they were written.
    """
    return Comparison.from_record(store.load(path, changed=changed or _warn))


def _warn(text: str) -> None:
    warnings.warn(text, UserWarning, stacklevel=4)


def _parts(record: records.Fit | records.Comparison) -> Mapping[str, Any]:
    return {part.name: getattr(record, part.name) for part in fields(record)}
