"""The configuration of a run: one typed object, whose fields declare the options."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Annotated, Any

from pydantic import ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from guidebench.config import paths
from guidebench.config.options import Option, Options, option_of
from guidebench.config.output import OutputOptions
from guidebench.config.own_model import ModelOptions
from guidebench.config.training import TrainingOptions


class ChosenOptions(Options):
    """What is compared on what, and who may bring it."""

    problems: Annotated[
        tuple[str, ...],
        Option(
            help="Problems by name or glob (see 'guidebench list'), or your own model: FILE.py:MODEL or MODULE:MODEL.",
            metavar="TARGET",
            flags=("TARGET",),
            changes="subject",
            from_folder=paths.own,
        ),
    ] = ("linear-regression",)
    guides: Annotated[
        tuple[str, ...],
        Option(
            help="A guide, with options; repeatable. 'default' is the default set, 'all' every one; FILE.py:GUIDE or "
            "MODULE:GUIDE is your own.",
            metavar="NAME[:OPT=VAL,...]",
            flags=("-g", "--guide"),
            changes="subject",
            from_folder=paths.own,
        ),
    ] = ("default",)
    plugins: Annotated[
        tuple[str, ...],
        Option(
            help="A plugin that is not installed: a module, or FILE.py, with hooks (repeatable).",
            metavar="MODULE",
            flags=("--plugin",),
            changes="subject",
            from_folder=paths.own,
        ),
    ] = ()
    no_plugins: Annotated[bool, Option(help="Import no installed plugin but guidebench's own.", changes="subject")] = (
        False
    )


# Fields are those of the last base first: the order of the help.
class RunConfig(OutputOptions, TrainingOptions, ModelOptions, ChosenOptions):
    """Everything that decides the numbers of a run; ``None`` means "as the recipe has it".

    Unknown keys are refused.
    """

    @model_validator(mode="before")
    @classmethod
    def _lists(cls, values: Any) -> Any:
        """Let one name stand for a list of one."""
        if not isinstance(values, Mapping):
            return values
        names = {name for name, option in OPTIONS.items() if option.kind is tuple}
        return {key: (value,) if key in names and isinstance(value, str) else value for key, value in values.items()}

    @field_validator("*", mode="before")
    @classmethod
    def _kinds(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse what is no number or no names, and pydantic would make one of, as of ``true``; a path is its text."""
        kind = OPTIONS[str(info.field_name)].kind
        if kind in (int, float) and isinstance(value, (bool, str)):
            raise PydanticCustomError("number", "should be a number")
        if info.field_name == "budget" and isinstance(value, int) and not isinstance(value, bool):
            return str(value)  # a number of gradients, as a file or Python has it
        if kind is tuple and not (isinstance(value, (list, tuple)) and all(isinstance(name, str) for name in value)):
            raise PydanticCustomError("names", "should be a name or a list of names")
        return str(value) if kind is str and isinstance(value, PurePath) else value

    @field_validator("problems", "guides", mode="before")
    @classmethod
    def _some(cls, value: Any) -> Any:
        if value == [] or value == ():
            raise PydanticCustomError("names", "should be a name or a list of names")
        return value

    def saved(self) -> dict[str, Any]:
        """Return the configuration as the results hold it."""
        return self.model_dump(mode="json", include={name for name, option in OPTIONS.items() if option.saved})


#: All options of a run by name, in the order of the help.
OPTIONS: Mapping[str, Option] = {name: option_of(name, field) for name, field in RunConfig.model_fields.items()}
