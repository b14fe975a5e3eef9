"""The help of ``guidebench run``: the common options first, the others when asked for, and every default."""

from __future__ import annotations

from copy import copy
from typing import Any

from typer.core import TyperCommand

from guidebench.config.options import RUNNING, TRAINING
from guidebench.config.settings import OPTIONS, RunConfig

#: The ten options that most runs need, in the order in which they are shown.
COMMON = ("guides", "data", "test", "reference", "budget", "simulations", "seed", "jobs", "out", "name")

ALL = "--help-all"


class RunCommand(TyperCommand):
    """A command whose help shows the common options, and all of them with ``--help-all``."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, those that show help among them."""
        params: list[Any] = list(super().get_params(ctx))
        # A copy, because how an option is made differs between the versions of Typer.
        everything = copy(params[-1])
        everything.opts, everything.name = [ALL], "help_all"
        everything.help = f"Show all {len(params) - 1} options and exit."
        everything.callback = self._show_all
        return [*params, everything]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Show the common options, each with its default, and how to see the others."""
        self._show(ctx, formatter, everything=bool(ctx.meta.get(ALL)))

    def _show_all(self, ctx: Any, _: Any, wanted: bool) -> None:
        if wanted and not ctx.resilient_parsing:
            ctx.meta[ALL] = True
            print(ctx.get_help(), end="")
            ctx.exit()

    def _show(self, ctx: Any, formatter: Any, *, everything: bool) -> None:
        params = [_told(one) for one in self.get_params(ctx)]
        ranks = {name: at for at, name in enumerate(COMMON)}
        common = sorted((one for one in params if one.name in ranks), key=lambda one: ranks[one.name])
        fixed = [one for one in params if one.param_type_name == "argument"]
        asking = [one for one in params if one.name in ("help", "help_all")]
        others = [one for one in params if one.name not in ranks and one not in fixed and one not in asking]
        for one in (*common, *asking):
            one.rich_help_panel = None
        for one in others:
            one.rich_help_panel = one.rich_help_panel or RUNNING
        shown = [*fixed, *common, *asking, *(others if everything else ())]
        view: Any = copy(self)
        view.get_params = lambda _: shown
        TyperCommand.format_help(view, ctx, formatter)


def _told(param: Any) -> Any:
    """Return a parameter that says its default: a copy, for without one the other tells what is not given."""
    found = copy(param)
    if param.name in OPTIONS:
        found.show_default = True
        found.default = None if "/" in OPTIONS[param.name].on_command_line[0] else default_of(param.name)
        if found.default is None:
            found.show_default = default_of(param.name)
    elif param.default is None:
        found.show_default = False
    return found


def default_of(name: str) -> str:
    """Return what an option of a run is where it is not given, in words."""
    option, default = OPTIONS[name], RunConfig.model_fields[name].get_default(call_default_factory=True)
    if option.kind is bool:
        return ("yes" if default else "no") if "/" not in option.on_command_line[0] else _side(option, default)
    if default is None:
        return "as the recipe has it" if option.panel == TRAINING else "none"
    if isinstance(default, (tuple, dict)):
        return ", ".join(map(str, default)) or "none"
    return f"{default}"


def _side(option: Any, default: bool) -> str:
    """Return the half of ``--this/--that`` that holds."""
    return str(option.on_command_line[0].split("/")[0 if default else 1].removeprefix("--"))
