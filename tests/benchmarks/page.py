"""``docs/benchmarks.md`` from what was measured."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

GIB = 2**30

INTRO = """\
# How quick is it?

<!-- Written by tests/benchmarks/bench.py from what it measured; `tox -e bench` makes the run and writes this page. -->

Every figure here is a ratio of medians within one run: each measurement is a fresh process, and the commands of a
figure take turns, so that a slow minute of the machine meets all of them. What guidebench does in that time is more
than its baselines do: it looks for modes, trains from several starts, scores and judges each guide, repairs what it
can and writes the report.

- **L** trains six guides with the loop of a teaching notebook (`tests/benchmarks/baselines/lesson.py`).
- **S** trains with `svi.run` and draws with `Predictive` (`plain.py`, `plain_on.py`).
- **N** is NumPyro's NUTS, four chains of 1,000 + 1,000 (`nuts.py`).
- **B** is BlackJAX (`blackjax_vi.py`).

*Cold* compiles everything, *warm* finds the compiled programs of the run before, *kept* finds its fits as well.
"""

WHY = """\
## Where guidebench is slower, and why

Of the default run with compiled programs at hand, sampled by py-spy, two fifths went into tracing and lowering models
and guides in Python, which no cache of compiled programs saves: a script traces a guide two or three times, guidebench
traces its objective, its sampler in two precisions, the search and the chains. A seventh went into drawing the report,
of which another process draws half, an eighth into imports, one part in fourteen into NetCDF. Gradients hardly count
there. Where they do, on many latents and rows, most of them are those of the chains that put a guide to the test, and
repair it where it fails: a plain script has neither.
"""


def page(figures: Sequence[Mapping[str, Any]]) -> str:
    """Return the page."""
    return "\n".join(_lines(figures)) + "\n"


def _lines(figures: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield INTRO
    for one in figures:
        yield f"## {one['title']}\n"
        yield "| | median s | range s | CPU s | memory GiB | beside |"
        yield "|---|---|---|---|---|---|"
        for name, timings in one["timings"].items():
            walls = [timing["wall_s"] for timing in timings]
            cpu = statistics.median(timing["cpu_s"] for timing in timings)
            memory = max(timing["memory"] for timing in timings) / GIB
            beside = "; ".join(
                f"{ratio:.2f} x {pair.split(' / ')[1]}"
                for pair, ratio in one["ratios"].items()
                if pair.split(" / ")[0] == name
            )
            spread = f"{min(walls):.1f} to {max(walls):.1f}"
            yield f"| {name} | {statistics.median(walls):.1f} | {spread} | {cpu:.1f} | {memory:.2f} | {beside} |"
        said = {name: timings[-1]["said"] for name, timings in one["timings"].items() if timings[-1]["said"][:1] == "="}
        if said:
            yield ""
            yield from (f"- {name}: {text.lstrip('= ')}" for name, text in said.items())
        yield ""
    yield WHY
    yield from _how(figures)


def _how(figures: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "## How this was made\n"
    turns: dict[int, list[str]] = {}
    for one in figures:
        turns.setdefault(len(next(iter(one["timings"].values()))), []).append(one["name"])
    for number, names in turns.items():
        asked = f"{' '.join(names)} --repeats {number} --json bench.json --page docs/benchmarks.md"
        yield f"    python tests/benchmarks/bench.py {asked}"
    yield ""
    for facts in {str(one["machine"]): one["machine"] for one in figures}.values():
        yield ", ".join(f"{name} {value}" for name, value in facts.items()) + "."
