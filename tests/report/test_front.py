"""The first screen: one sentence, a line for each guide with the best first, a picture, and how to load the draws."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from guidebench.analysis.answer import answer
from guidebench.api import Comparison
from guidebench.report.content import Code, Details, Figure, Lead, Table
from guidebench.report.front import MOST_LINES, Front, build, code
from guidebench.report.page import Page
from guidebench.report.writer import write
from guidebench.results import Verdict, Work
from tests import made
from tests.report import fake
from tests.report.many import many


def front(comparison: Comparison) -> Front:
    pages = tuple(Page(comparison=comparison, problem=one) for one in comparison.problems)
    return Front(comparison=comparison, pages=pages, run="reports/run")


@pytest.mark.usefixtures("look")
def test_it_says_what_to_use_which_guide_is_how_good_and_how_to_load_the_draws(small: Comparison) -> None:
    lead, table, figure, python, *rest = build(front(small))
    assert isinstance(lead, Lead)
    assert lead.text == "Use auto_iaf_normal: the only guide whose draws can be taken as they are."
    assert isinstance(table, Table)
    assert [row[0].text for row in table.rows] == [  # type: ignore[union-attr]
        *("auto_iaf_normal", "auto_multivariate_normal", "auto_laplace_approximation"),
        *("mean_field", "auto_normal", "auto_delta", "broken_guide", "unfit_guide"),
    ]
    assert isinstance(figure, Figure)
    assert figure.name == "answer"
    assert isinstance(python, Code)
    assert python.text.splitlines() == [
        "import guidebench as gb",
        'c = gb.load("reports/run")',
        "draws = c.posterior()",
    ]
    (more,) = rest
    assert more == (
        "Use the draws of auto_multivariate_normal and auto_laplace_approximation only with their weights. "
        "Do not use the intervals of mean_field and auto_normal."
    )


@pytest.mark.usefixtures("look")
def test_of_more_guides_than_fit_on_it_the_others_are_folded() -> None:
    fits = [made.fit(f"guide_{at}", {"mean_error": 0.01, "sd_error": 0.01}) for at in range(MOST_LINES + 3)]
    _, shown, folded, *_ = build(front(made.comparison(*fits)))
    assert isinstance(shown, Table)
    assert isinstance(folded, Details)
    assert (len(shown.rows), folded.title) == (MOST_LINES, "3 more guides")


@pytest.mark.usefixtures("look")
def test_of_several_problems_it_counts_verdicts_and_names_one_whose_draws_can_be_loaded() -> None:
    comparison = many(3, 4)
    lead, table, *rest = build(front(comparison))
    assert isinstance(lead, Lead)
    assert isinstance(table, Table)
    trusted = [row[1] for row in table.rows]
    assert trusted == sorted(trusted, reverse=True)  # type: ignore[type-var]
    (python,) = [one for one in rest if isinstance(one, Code)]
    names = [one.name for one in comparison.problems]
    assert python.text.splitlines()[-1] in {f"draws = c.posterior({json.dumps(name)})" for name in names}


def test_where_no_draws_can_be_used_it_does_not_say_how_to_load_them() -> None:
    found = answer([made.fit(verdict=Verdict.DISTRUST)], made.record())
    assert "posterior" not in code("run", found)
    assert found.headline.startswith("None of these guides can be used on this problem; ")
    assert found.headline.count(".") == 1


@pytest.mark.parametrize("run", ['a "b"', "c\\d", "e'f"])
def test_the_lines_of_python_are_python_whatever_the_folder_is_called(run: str) -> None:
    found = answer([made.fit()], made.record(name='p"'))
    spaces: dict[str, object] = {}
    loaded: list[str] = []
    text = code(run, found, several=True).replace("import guidebench as gb", "")
    gb = type("gb", (), {"load": staticmethod(lambda path: loaded.append(path) or made.comparison())})
    spaces["gb"] = gb
    with pytest.raises(Exception, match=r"there is no problem 'p\"'"):
        exec(text, spaces)  # noqa: S102 - that it runs is the point
    assert loaded == [run]


@pytest.mark.usefixtures("look")
def test_cost_is_against_nuts_where_nuts_was_run() -> None:
    fit = made.fit(work={"training": Work(gradients=50)})
    known = made.comparison(fit, known={"work": {"nuts": Work(gradients=200)}})
    _, table, *_ = build(front(known))
    assert isinstance(table, Table)
    assert table.columns[-1] == "cost (NUTS = 1)"
    assert table.rows[0][-1].value == 0.25  # type: ignore[union-attr]
    _, table, *_ = build(front(made.comparison(fit)))
    assert isinstance(table, Table)
    assert (table.columns[-1], table.rows[0][-1]) == ("gradients", 50)


def test_the_page_begins_with_it_and_the_folder_is_as_one_would_type_it(
    small: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    page = write(small, tmp_path / "reports" / "run", sections=[]).read_text("utf-8")
    assert page.index('class="front single"') < page.index("<nav") < page.index("Adam with a cosine decay")
    assert "gb.load(&#34;reports/run&#34;)" in page
    text = Path("reports/run/report.md").read_text("utf-8")
    assert text.index("Use auto_iaf_normal") < text.index("Adam with a cosine decay")


def test_a_front_that_cannot_be_made_leaves_a_note(tmp_path: Path) -> None:
    small = fake.small(draws=50, steps=40)
    broken = replace(small, problems=(replace(small.problems[0], work={"nuts": None}),))  # type: ignore[dict-item]
    failures: list[object] = []
    page = write(broken, tmp_path, sections=[], on_failure=failures.append)
    assert len(failures) == 1
    assert "could not be made" in page.read_text("utf-8")
