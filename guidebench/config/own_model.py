"""The options about a model of the user's own: its data and its arguments."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from guidebench.config import paths
from guidebench.config.options import MODEL, Option, Options


class ModelOptions(Options):
    """Where the data are, and what to give to the model."""

    data: Annotated[
        str | None,
        Option(
            help="The model's arguments by name: columns of a .csv, arrays of an .npz, .nc or .json file.",
            metavar="FILE",
            panel=MODEL,
            changes="subject",
            from_folder=paths.file,
        ),
    ] = None
    test: Annotated[
        str | None,
        Option(
            help="Held-out data, in the form of --data.",
            metavar="FILE",
            panel=MODEL,
            changes="subject",
            from_folder=paths.file,
        ),
    ] = None
    heldout: Annotated[
        float | None,
        Option(help="Hold out a random share of the rows of --data.", metavar="SHARE", panel=MODEL, changes="subject"),
    ] = Field(None, gt=0, lt=1)
    observed: Annotated[
        tuple[str, ...],
        Option(
            help="An argument that holds observations; otherwise found by tracing.",
            metavar="ARG",
            panel=MODEL,
            changes="subject",
        ),
    ] = ()
    posteriordb: Annotated[
        str | None,
        Option(
            help="Folder of the posterior database, for the problems posteriordb/NAME of guidebench-posteriordb.",
            metavar="PATH|download",
            panel=MODEL,
            from_folder=paths.database,
        ),
    ] = None
    static: Annotated[
        dict[str, bool | int | float | str | None],
        Option(
            help="A number, flag or text for an argument of the model; repeatable.",
            metavar="ARG=VALUE",
            panel=MODEL,
            changes="subject",
        ),
    ] = Field(default_factory=dict)
    minibatch: Annotated[
        dict[str, int],
        Option(
            help="Train on random minibatches: the argument that the model takes as subsample_size, and its value.",
            metavar="ARG=N",
            panel=MODEL,
        ),
    ] = Field(default_factory=dict)

    @field_validator("minibatch", mode="before")
    @classmethod
    def _sizes(cls, value: Any) -> Any:
        for name, size in _by_argument(value).items():
            if not isinstance(size, int) or isinstance(size, bool) or size < 1:
                raise PydanticCustomError("sizes", "should be a whole number of at least 1", {"argument": name})
        return value

    @field_validator("static", mode="before")
    @classmethod
    def _statics(cls, value: Any) -> Any:
        for name, given in _by_argument(value).items():
            if given is not None and not isinstance(given, (bool, int, float, str)):
                raise PydanticCustomError("static", "should be a number, a flag or a text", {"argument": name})
            if isinstance(given, float) and not math.isfinite(given):
                raise PydanticCustomError("static", "should be a finite number", {"argument": name})
        return value


def _by_argument(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise PydanticCustomError("table", "should be a table with a value for each argument")
    return value
