"""What verdicts rest on, as the report shows it: folded in the summary, and on the verdict itself."""

from __future__ import annotations

from guidebench.report import evidence, html, markdown
from guidebench.report.content import Block, Details, Pill, Table
from guidebench.report.sections import summary
from guidebench.results import Finding, Verdict
from tests.report.pages import page_of

FOUND = (
    Finding(source="weights", said="Its weights settle too slowly to tell <k>."),
    Finding(source="chains", raw=False, reweighted=True, refreshed=True, said="By chains an sd is off by 30% (a)."),
)
PAGE = page_of(
    {}, verdict=Verdict.REFRESH, reason="Why.", evidence=FOUND, sites={"a": Verdict.REFRESH, "c": Verdict.TRUST}
)


def tables(content: Block) -> list[Table]:
    return [item for item in content if isinstance(item, Table)]


def test_each_source_has_a_row_with_what_it_says_of_each_kind_of_draws() -> None:
    details = evidence.details(PAGE)
    assert details is not None
    sources, sites = tables(details.content)
    assert sources.rows[0][1:] == ["weights", None, None, None, FOUND[0].said]
    assert sources.rows[1][2:5] == [Pill("wrong", "bad"), Pill("right", "good"), Pill("right", "good")]
    assert sites.columns == ["guide", "a", "c"]
    assert [cell.text for cell in sites.rows[0][1:] if isinstance(cell, Pill)] == ["refresh", "trust"]


def test_sites_that_are_all_alike_have_no_table_and_a_fit_without_evidence_none_at_all() -> None:
    alike = page_of({}, evidence=FOUND, sites={"a": Verdict.TRUST, "c": Verdict.TRUST})
    details = evidence.details(alike)
    assert details is not None
    assert len(tables(details.content)) == 1
    assert evidence.details(page_of({})) is None
    assert evidence.hover(page_of({}, reason="Why.").fits[0]) == "Why."


def test_the_summary_folds_it_and_the_verdict_says_it_to_who_points_at_it() -> None:
    block = summary.build(PAGE)
    assert any(isinstance(item, Details) and item.title == "What the verdicts rest on" for item in block)
    page = html.block(block)
    assert 'title="weights: Its weights settle too slowly to tell &lt;k&gt;.' in page
    assert "By chains an sd is off by 30% (a)." in markdown.block(block)
