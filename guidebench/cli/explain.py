"""The command that says what a number or a word means, from its declaration."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import typer

from guidebench.cli.completion import words
from guidebench.cli.options import NoPluginsOption, PluginOption
from guidebench.config.errors import RequestError

if TYPE_CHECKING:
    from guidebench.contracts import Metric, Quantity

#: A part of an explanation, and its text; without a heading it is a paragraph.
Part = tuple[str, str]


def explain(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME...",
            help="A metric, a verdict or a status, as khat, refresh or max_steps.",
            autocompletion=words,
        ),
    ] = None,
    plugin: PluginOption = None,
    no_plugins: NoPluginsOption = None,
) -> int:
    """Say what a metric, a verdict or a status is: definition, equation, limits, source. Without a name, list all."""
    from guidebench.cli.cells import make_console, show
    from guidebench.request.find_plugins import find_plugins

    registry = find_plugins(tuple(plugin or ()), no_plugins=bool(no_plugins))
    metrics = [one.declaration for one in registry.metrics]
    to = make_console()
    if not names:
        for kind, known in _all(metrics).items():
            show(to, f"{kind}: {', '.join(known)}")
        return 0
    found = [(name, list(_explained(name, metrics))) for name in names]
    for name, parts in found:
        if not parts:
            raise RequestError(f"nothing is called {name!r}; {_nearest(name, metrics)}")
    for at, (_, parts) in enumerate(found):
        if at:
            to.print()
        for heading, text in parts:
            show(to, f"{heading}: {text}" if heading else text)
    return 0


def _all(metrics: Sequence[Metric]) -> dict[str, list[str]]:
    from guidebench.results import Status, Verdict

    numbers = [one.name for metric in metrics for one in (metric, *metric.values)]
    return {"metrics": numbers, "verdicts": list(map(str, Verdict)), "statuses": list(map(str, Status))}


def _nearest(name: str, metrics: Sequence[Metric]) -> str:
    known = [one for names in _all(metrics).values() for one in names]
    near = difflib.get_close_matches(name, known, n=3)
    return f"did you mean {' or '.join(near)}?" if near else "guidebench explain lists all names"


def _explained(name: str, metrics: Sequence[Metric]) -> Iterator[Part]:
    """Yield what is to be said of everything of that name."""
    from guidebench.analysis import meanings

    wanted = name.lower().replace("-", "").replace("_", "").replace(" ", "")
    for metric in metrics:
        for one in (metric, *metric.values):
            if wanted in (one.name.replace("_", ""), one.title.lower().replace("-", "").replace(" ", "")):
                yield from _metric(metric, one)
    for verdict, meaning in meanings.VERDICTS.items():
        if wanted == verdict.value:
            yield "", f"{verdict} (a verdict)"
            yield from _meaning(meaning)
            yield "rule", _plain(meanings.RULE)
            yield "source", meanings.VERDICTS_PAGE
    for status, meaning in meanings.STATUSES.items():
        if wanted == status.value.replace("_", ""):
            yield "", f"{status} (a status of training)"
            yield from _meaning(meaning)
            yield "source", meanings.STATUS_PAGE


def _meaning(meaning: tuple[str, str, str]) -> Iterator[Part]:
    yield from zip(("when", "what to do", "what it leaves open"), meaning, strict=True)


#: Directions in words.
_BETTER = {"higher": "higher is better", "lower": "lower is better", "none": "no direction is better"}


def _metric(metric: Metric, one: Quantity) -> Iterator[Part]:
    """Yield what a number is, from its declaration and the words of the function that computes it."""
    part = f", a part of {metric.name}" if one is not metric else ""
    better = _BETTER.get(one.better, f"best at {one.nominal:g}" if one.nominal is not None else one.better)
    yield "", f"{one.name} (a metric{part}): {one.words}"
    if summary := one.summary or metric.summary:
        yield "", f"{summary.rstrip('.')}."
    for paragraph in _documented(metric):
        yield "", paragraph
    yield "unit", f"{one.unit or 'none'}; {better}"
    if metric.needs:
        yield "needs", f"{', '.join(metric.needs)}; where that is missing, so is the number"
    if note := one.note or metric.note:
        yield "note", " ".join(note.split())
    yield "between two runs", _rule(one)
    if cite := one.cite or metric.cite:
        yield "source", cite


def _rule(one: Quantity) -> str:
    """Return what a number counts for where two runs are compared."""
    rule = one.rule
    if not rule.compared:
        return "not compared"
    least = [f"{rule.smallest:g}"] if rule.smallest else []
    least += [f"{rule.share:.0%} of it"] if rule.share else []
    of = f", a change by at least {' or '.join(least)}" if least else ""
    return ("decides whether a run is worse" if rule.decides else "noted") + of


def computing(metric: Metric) -> Callable[..., Any]:
    """Return the function that computes a metric; a built-in one names a function that is imported late."""
    inside = inspect.getclosurevars(inspect.unwrap(metric.compute)).nonlocals
    if {"module", "function"} <= inside.keys():
        found: Callable[..., Any] = getattr(import_module(f"guidebench.metrics.{inside['module']}"), inside["function"])
        return found
    return metric.compute


def _documented(metric: Metric) -> Iterator[str]:
    """Yield the paragraphs of the docstring of what computes a metric, without its sections."""
    text = inspect.getdoc(computing(metric)) or ""
    for paragraph in re.split(r"\n\s*\n", re.split(r"\n\w+\n-{3,}\n", text)[0]):
        if paragraph.strip():
            yield _plain(" ".join(paragraph.split()))


#: Mathematics as a terminal can show it.
_SIGNS = {
    r"\log": "log", r"\sum": "Σ", r"\sqrt": "√", r"\mu": "μ", r"\sigma": "σ", r"\theta": "θ", r"\Delta": "Δ",
    r"\rho": "ρ",
    r"\le": "≤", r"\ge": "≥", r"\approx": "≈", r"\cdot": "·", r"\times": "×", r"\|": "‖",
    r"\qquad": "  ", r"\quad": " ",
    r"\max": "max", r"\min": "min", r"\infty": "∞", r"\int": "∫", r"\in": "∈", r"\pi": "π",
    r"\phi": "φ", r"\alpha": "α",
    r"\left": "", r"\right": "", r"\,": " ", r"\!": "", r"\;": " ", r"\exp": "exp", r"\ldots": "…",
    r"\dots": "…", r"\pm": "±",
    r"\Big": "", r"\big": "", r"\top": "T", r"\sim": "~", r"\mid": "|", r"\tfrac12": "1/2", r"\#": "number of ",
}  # fmt: skip


def _plain(text: str) -> str:
    """Return reStructuredText with mathematics as plain text."""
    text = re.sub(r"\.\. math::\s*", "", text)
    text = re.sub(r":(?:math|func|class|data|meth|mod):`~?([^`]*)`", r"\1", text)
    text = re.sub(r"``([^`]*)``", r"\1", text)
    text = re.sub(r"\\frac\s*(\w)\s*(\w)", r"\1/\2", text)
    text = re.sub(r"\\(?:mathrm|operatorname|text|mathbb|mathcal)\{([^{}]*)\}", r"\1", text)
    text = re.sub(r"\\frac\{(\w)\}\{([^{}]*)\}", r"\1 / (\2)", text)
    text = re.sub(r"\\frac\{([^{}]*)\}\{([^{}]*)\}", r"(\1) / (\2)", text)
    text = re.sub(r"\\(?:bar|hat|widehat|tilde)\s*\{?\\?(\w+)\}?", _accented, text)
    for sign, shown in sorted(_SIGNS.items(), key=lambda pair: -len(pair[0])):
        text = text.replace(sign, shown)
    text = re.sub(r"√\{([^{}]*)\}", r"√(\1)", text)
    text = re.sub(r"_\{(\w+)\}", r"_\1", text)
    return re.sub(r"  +", "  ", text.replace("\\\\", " ").replace(r"\ ", " "))


def _accented(found: re.Match[str]) -> str:
    """Return a letter with its accent, as a combining character."""
    marks = {"bar": "\u0304", "hat": "\u0302", "widehat": "\u0302", "tilde": "\u0303"}
    kind = re.match(r"\\(\w+?)(?=[\s{\\])", found[0] + " ")
    name = found[1]
    letter = {"mu": "μ", "sigma": "σ", "theta": "θ", "rho": "ρ"}.get(name, name)
    return letter[:1] + marks.get(kind[1] if kind else "", "") + letter[1:]
