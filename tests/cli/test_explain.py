"""Every number and every word of a run can be explained: what it is, with its equation, its limits and its source."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from guidebench.analysis.meanings import STATUSES, VERDICTS
from guidebench.cli.explain import _plain
from guidebench.request.find_plugins import find_plugins
from guidebench.results import Status, Verdict

Command = Callable[..., Any]

METRICS = [one.declaration for one in find_plugins((), no_plugins=True).metrics]


def test_every_metric_has_an_explanation_without_markup(command: Command) -> None:
    ended = command("explain", *(one.name for one in METRICS))
    assert ended.status == 0
    assert not re.findall(r"\\[a-z]+|:math:|``|\.\. ", ended.out)
    for one in METRICS:
        assert f"{one.name} (a metric): {one.words}" in ended.out
        assert one.cite in ended.out


def test_an_equation_and_a_limit_are_those_of_the_function_and_the_declaration(command: Command) -> None:
    said = command("explain", "elbo", "khat").out
    assert "ELBO = 1/S Σ_s log w_s,  w_s = p(y, θ_s) / q(θ_s),  MCSE = sd(log w) / √(S)" in said
    assert "note: Tail shape of the importance weights; above 0.7 what is estimated with them settles slowly." in said
    assert "unit: nat; higher is better" in said
    assert "doi:10.1080/01621459.2017.1285773" in said


@pytest.mark.parametrize("name", ["khat", "k-hat", "K-hat"])
def test_a_metric_answers_to_its_name_and_its_title(command: Command, name: str) -> None:
    assert command("explain", name).out.startswith("khat (a metric): k-hat\n")


def test_a_part_of_a_metric_says_whose_it_is(command: Command) -> None:
    assert command("explain", "ess_share").out.startswith("ess_share (a metric, a part of ess): ")


def test_every_verdict_and_status_is_explained(command: Command) -> None:
    assert set(VERDICTS) == set(Verdict)
    assert set(STATUSES) == set(Status)
    for word in (*Verdict, *Status):
        said = command("explain", word).out
        assert "when: " in said
        assert "what to do: " in said
        assert "source: docs/reading-a-report.md, " in said
    both = command("explain", "failed").out
    assert "failed (a verdict)" in both
    assert "failed (a status of training)" in both


def test_the_pages_that_are_named_are_there() -> None:
    from guidebench.analysis import meanings

    docs = Path(__file__).parents[2]
    for page in (meanings.VERDICTS_PAGE, meanings.STATUS_PAGE):
        file, _, section = page.partition(", ")
        assert f"\n## {section}\n" in (docs / file).read_text("utf-8")


def test_what_there_is_not_names_what_is_near(command: Command) -> None:
    assert command("explain", "correlatio")[::2] == (
        2,
        "guidebench: nothing is called 'correlatio'; did you mean correlation or correlation_error?\n",
    )
    assert command("explain", "zzz").err.endswith("guidebench explain lists all names\n")


def test_without_a_name_all_are_listed(command: Command) -> None:
    lines = command("explain").out.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["metrics", "verdicts", "statuses"]
    assert "khat_threshold" in lines[0]


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (r":math:`|\mu_q - \mu_p| / \sigma_p`", "|μ_q - μ_p| / σ_p"),
        (r"\frac1S \sum_s w_s", "1/S Σ_s w_s"),
        (r"\frac{a + b}{c}", "(a + b) / (c)"),
        (r"\sqrt{S} \le \bar w", "√(S) ≤ w\u0304"),
        ("``name`` of :func:`~guidebench.load`", "name of guidebench.load"),
    ],
)
def test_mathematics_is_shown_as_a_terminal_can(written: str, shown: str) -> None:
    assert _plain(written) == shown
