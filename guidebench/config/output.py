"""The options about what comes out of a run, and about how it goes on."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from guidebench.config import paths
from guidebench.config.budget import Budget, size_of
from guidebench.config.options import OUTPUT, RUNNING, Option, Options
from guidebench.config.paths import REFERENCE_FILES, REFERENCES


class OutputOptions(Options):
    """What to measure, against what, and where to write it."""

    draws: Annotated[int, Option(help="Draws from every trained guide.", metavar="N", panel=OUTPUT)] = Field(
        4000, ge=100, le=10_000_000
    )
    reference: Annotated[
        str,
        Option(
            help="What guides are measured against. auto: the exact posterior where it is known, else a mixture about "
            "what the search finds if its weights are good, else groups of chains if they agree, else NUTS if it "
            "converges. FILE: your own draws (.nc, .npz, .csv).",
            metavar="auto|exact|mixture|chains|nuts|none|FILE",
            panel=OUTPUT,
            from_folder=paths.reference,
        ),
    ] = "auto"
    budget: Annotated[
        str | None,
        Option(
            help="Spend at most so many gradients, or seconds (60s), on a problem: on the search, then training, then "
            "judging the best guides, then the reference. What is left out is said.",
            metavar="GRADIENTS|SECONDS",
            panel=OUTPUT,
        ),
    ] = None
    until: Annotated[
        Literal["trusted"] | None,
        Option(
            help="Stop at the first draws that can be used, from cheap to dear: made of what a search found, of a "
            "guide, of NUTS.",
            metavar="trusted",
            panel=OUTPUT,
            changes="subject",
        ),
    ] = None
    time_limit: Annotated[
        float | None,
        Option(
            help="End a guide that takes longer, and a model, a problem's own reference, a plugin's metric or section.",
            metavar="SECONDS",
            panel=OUTPUT,
            changes="nothing",
        ),
    ] = Field(None, ge=0.1, allow_inf_nan=False)
    simulations: Annotated[
        int | None,
        Option(
            help="Check every guide's intervals on N data sets drawn from the model, and report their true coverage.",
            metavar="N",
            panel=OUTPUT,
        ),
    ] = Field(None, ge=20, le=100_000)
    out: Annotated[
        str,
        Option(help="Results go to DIR/NAME.", metavar="DIR", panel=OUTPUT, changes="nothing"),
    ] = "reports"
    name: Annotated[
        str | None,
        Option(
            help="What the run and its folder are called, in place of the problem's name.",
            metavar="NAME",
            panel=OUTPUT,
            changes="nothing",
        ),
    ] = None
    log_loss: Annotated[
        bool,
        Option(
            help="Axis of the loss curves.",
            flags=("--log-loss/--linear-loss",),
            panel=OUTPUT,
            changes="nothing",
        ),
    ] = False
    fresh: Annotated[
        bool,
        Option(
            help="Train everything anew; otherwise a fit that an earlier run below --out DIR finished is kept.",
            panel=OUTPUT,
            changes="nothing",
            saved=False,
        ),
    ] = False
    strict: Annotated[bool, Option(help="Exit with 1 unless every fit converged.", panel=OUTPUT, changes="nothing")] = (
        False
    )
    quiet: Annotated[
        bool,
        Option(help="Print nothing but errors.", flags=("-q", "--quiet"), panel=OUTPUT, changes="nothing"),
    ] = False
    verbose: Annotated[
        bool,
        Option(
            help="Show the log of the run on standard error: every phase with its gradients, densities and seconds.",
            flags=("-v", "--verbose"),
            panel=OUTPUT,
            changes="nothing",
            saved=False,
        ),
    ] = False
    jobs: Annotated[
        int | None,
        Option(
            help="Worker processes to run fits in, side by side.",
            metavar="N",
            panel=RUNNING,
            changes="nothing",
            saved=False,
            executor="processes",
        ),
    ] = Field(None, ge=1, le=1024)
    dask: Annotated[
        str | None,
        Option(
            help="Run on a Dask cluster: the ADDRESS of its scheduler, or local:N for N workers here.",
            metavar="ADDRESS",
            panel=RUNNING,
            changes="nothing",
            saved=False,
            executor="dask",
        ),
    ] = None

    isolate: Annotated[
        bool,
        Option(
            help="Give every guide a worker process of its own, which no other guide has been in.",
            panel=RUNNING,
            changes="nothing",
            saved=False,
        ),
    ] = False
    memory_limit: Annotated[
        str | None,
        Option(
            help="End a worker process that takes more memory, as 4G; what it was at is lost, and the others go on.",
            metavar="SIZE",
            panel=RUNNING,
            changes="nothing",
            saved=False,
        ),
    ] = None

    @field_validator("reference")
    @classmethod
    def _reference(cls, value: str) -> str:
        if value not in REFERENCES and not paths.is_reference_file(value):
            known, endings = ", ".join(REFERENCES), ", ".join(REFERENCE_FILES)
            raise PydanticCustomError("reference", f"should be one of {known}, or a file that ends in {endings}")
        return value

    @field_validator("name")
    @classmethod
    def _name(cls, value: str | None) -> str | None:
        if value is not None and (not value.strip() or value.startswith(".") or set(value) & set("/\\\0")):
            raise PydanticCustomError(
                "name", "should be the name of a folder, without a path, that does not begin with a dot"
            )
        return value

    @field_validator("budget")
    @classmethod
    def _budget(cls, value: str | None) -> str | None:
        try:
            return value if value is None else Budget.parse(value).text
        except ValueError:
            raise PydanticCustomError(
                "budget", "should be a whole number of gradients, as 200000, or of seconds, as 60s, above zero"
            ) from None

    @property
    def allowance(self) -> Budget | None:
        """What a problem may cost."""
        return None if self.budget is None else Budget.parse(self.budget)

    @field_validator("memory_limit")
    @classmethod
    def _memory_limit(cls, value: str | None) -> str | None:
        try:
            if value is not None:
                size_of(value)
        except ValueError:
            raise PydanticCustomError("size", "should be at least 1G, in M, G or T: 1500M, 4G") from None
        return value

    @property
    def most_memory(self) -> int | None:
        """Bytes that a worker process may take."""
        return None if self.memory_limit is None else size_of(self.memory_limit)

    @field_validator("dask")
    @classmethod
    def _dask(cls, value: str | None) -> str | None:
        kind, _, count = (value or "").partition(":")
        if kind == "local" and not (count.isdecimal() and int(count) > 0):
            raise PydanticCustomError("dask", "should be the address of a scheduler, or local:N with N of at least 1")
        return value
