"""The directives ``metrics`` and ``words``: every number and every word of a report, as the code declares them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from typing import Any

from docutils import nodes
from sphinx.ext.napoleon.docstring import NumpyDocstring
from sphinx.util.docutils import SphinxDirective

from guidebench.analysis.meanings import STATUSES, VERDICTS, Meaning
from guidebench.cli.explain import computing
from guidebench.contracts import Metric, Quantity
from guidebench.request.find_plugins import find_plugins


def _facts(metric: Metric, one: Quantity) -> str:
    better = {"higher": "higher is better", "lower": "lower is better"}.get(one.better, "")
    if not better and one.nominal is not None:
        better = f"best at {one.nominal:g}"
    parts = [one.title, one.unit and f"in {one.unit}", better]
    parts += [f"needs {', '.join(metric.needs)}"] if metric.needs else []
    return "; ".join(part for part in parts if part)


def _metric(metric: Metric, function: Callable[..., Any]) -> Iterator[str]:
    """Yield reStructuredText on a metric: what it yields, its definition, its source."""
    for one in {one.name: one for one in (metric, *metric.values)}.values():
        yield f"``{one.name}``: {_facts(metric, one)}."
        yield ""
    yield from str(NumpyDocstring(inspect.getdoc(function) or "")).splitlines()
    yield ""
    for cite in dict.fromkeys(one.cite for one in (metric, *metric.values) if one.cite):
        yield f"Source: {cite}."
        yield ""
    yield f"Computed by ``{function.__module__}.{function.__name__}``."
    yield ""


class Metrics(SphinxDirective):
    """A section for each built-in metric, in the order of ``metrics.csv``."""

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        registry = find_plugins((), no_plugins=True)
        found: list[nodes.Node] = []
        for function, group in groupby((one.declaration for one in registry.metrics), computing):
            metrics = list(group)
            title = metrics[0].title or metrics[0].name
            section = nodes.section("", nodes.title("", title), ids=[f"metric-{metrics[0].name.replace('_', '-')}"])
            for metric in metrics:
                section += self.parse_text_to_nodes("```{eval-rst}\n" + "\n".join(_metric(metric, function)) + "\n```")
            found.append(section)
        return found


class Words(SphinxDirective):
    """A definition list of the verdicts or of the statuses of training."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the list."""
        words: Mapping[Any, Meaning] = {"verdicts": VERDICTS, "statuses": STATUSES}[self.arguments[0]]
        text = "\n\n".join(
            f"`{word.value}`\n: {meaning.when} *What to do:* {meaning.then} *What it leaves open:* {meaning.limits}"
            for word, meaning in words.items()
        )
        return self.parse_text_to_nodes(text)


def setup(app: Any) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("metrics", Metrics)
    app.add_directive("words", Words)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
