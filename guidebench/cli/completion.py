"""How names go on, for a shell: guides and problems of all installed plugins, and what can be explained."""

from __future__ import annotations

from collections.abc import Iterable

#: A name, and what a shell may show beside it.
Known = tuple[str, str]


def guides(incomplete: str) -> list[Known]:
    """Return the guides whose names begin so."""
    from guidebench.request.find_plugins import find_plugins

    found = [(one.declaration.name, one.declaration.summary) for one in find_plugins().guides]
    return _begun([("default", "the default set"), ("all", "every guide"), *found], incomplete)


def problems(incomplete: str) -> list[Known]:
    """Return the problems whose names begin so; nothing for a file, which the shell knows."""
    from guidebench.request.find_plugins import find_plugins

    return _begun(((one.declaration.name, one.declaration.summary) for one in find_plugins().problems), incomplete)


def words(incomplete: str) -> list[Known]:
    """Return the metrics, verdicts and statuses whose names begin so."""
    from guidebench.analysis.meanings import STATUSES, VERDICTS
    from guidebench.request.find_plugins import find_plugins

    metrics = [metric.declaration for metric in find_plugins().metrics]
    found = [(one.name, one.title) for metric in metrics for one in (metric, *metric.values)]
    found += [(word.value, meaning.when) for meanings in (VERDICTS, STATUSES) for word, meaning in meanings.items()]
    return _begun(found, incomplete)


def _begun(known: Iterable[Known], incomplete: str) -> list[Known]:
    return [one for one in dict(known).items() if one[0].startswith(incomplete)]
