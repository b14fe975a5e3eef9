"""The report on several problems: everything at a glance, nothing misleading, and each problem in a fold."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from guidebench.api import Comparison
from guidebench.config.text import without_middle
from guidebench.contracts import MetricValue, Quantity, Section
from guidebench.plugins.isolation.failures import Failure
from guidebench.report import write
from guidebench.report.content import Block, Details, Figure, Link, Note, Number, Pill, Table, Tabs
from guidebench.report.overview import OVERVIEW, Overview, anchor_of, numbers, profiles, ranks, times, verdicts, winners
from guidebench.report.overview.grids import colours_of, norm_of, short, wrapped
from guidebench.results import Verdict
from tests.report import fake
from tests.report.many import many
from tests.report.test_writer import Reader, Registered, fails

pytestmark = pytest.mark.usefixtures("look")


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return many()


@pytest.fixture(scope="module")
def overview(comparison: Comparison) -> Overview:
    return Overview(comparison=comparison)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, comparison: Comparison, sections: list[Section]) -> Path:
    kept = [section for section in sections if section.name in ("summary", "errors")]
    folder = tmp_path_factory.mktemp("report")
    return write(comparison, folder, sections=kept)


def tables(block: Block | None) -> list[Table]:
    found = []
    for item in block or ():
        if isinstance(item, Table):
            found.append(item)
        elif isinstance(item, Details):
            found += tables(item.content)
        elif isinstance(item, Tabs):
            found += [table for _, content in item.tabs for table in tables(content)]
    return found


def texts(block: Block | None) -> str:
    return " ".join(item if isinstance(item, str) else getattr(item, "text", "") for item in block or ())


# The page


def test_every_problem_is_folded_and_its_anchor_is_inside(report: Path, comparison: Comparison) -> None:
    page = report.read_text(encoding="utf-8")
    folds = re.findall(r'<details class="problem">.*?<div class="of" id="(.+?)">', page, re.DOTALL)
    assert folds == [f"problem-{problem.name}" for problem in comparison.problems]
    assert page.count('<details class="problem" open') == 0


def test_links_lead_somewhere_and_nothing_has_two_anchors(report: Path) -> None:
    reader = Reader(report.read_text(encoding="utf-8"))
    assert len(reader.ids) == len(set(reader.ids))
    linked = {reference[1:] for reference in reader.references if reference.startswith("#")}
    assert linked <= set(reader.ids)
    parts = {one.name for one in OVERVIEW} - {"overview-models"}  # no two of these problems have the same data
    assert {anchor_of(name) for name in parts} | {"run"} <= linked
    assert not {"iframe", "object", "embed", "form"} & set(reader.tags)
    assert all(reader.alts)


def test_markdown_says_the_same_and_folds_below_the_headings(report: Path, comparison: Comparison) -> None:
    text = (report.parent / "report.md").read_text(encoding="utf-8")
    name = comparison.problems[0].name
    assert f'<a id="problem-{name}"></a>\n\n## {name}\n\nA made-up posterior.\n\n<details>' in text
    assert text.count("<details>") == text.count("</details>")
    named = set(re.findall(r"\(figures/(.+?\.png)\)", text))
    assert named == {path.name for path in (report.parent / "figures").glob("*.png")}
    assert {path.stem for path in (report.parent / "figures").glob("*.svg")} <= {Path(name).stem for name in named}
    assert {"overview-elbo_gap.png", "overview-profiles.png", "overview-time.png", "overview-features.png"} <= named
    reader = Reader(report.read_text(encoding="utf-8"))
    pattern = re.compile(r"-?\d[\d.]* ± [\d.]+")
    assert sorted(pattern.findall(reader.text)) == sorted(pattern.findall(text))


def test_names_are_text(tmp_path: Path) -> None:
    hostile = "<script>x</script> a|b *c* _d_"
    small = many(3, 3)
    problems = tuple(replace(one, name=f"{hostile}{at}") for at, one in enumerate(small.problems))
    names = {old.name: new.name for old, new in zip(small.problems, problems, strict=True)}
    fits = tuple(replace(fit, problem=names[fit.problem], guide=f"{fit.guide}:{hostile}") for fit in small.fits)
    made = replace(small, problems=problems, fits=fits)
    failures: list[Failure] = []
    path = write(made, tmp_path, sections=[], on_failure=failures.append)
    page = path.read_text(encoding="utf-8")
    assert failures == []
    assert page.count("<script") == 1  # the report's own
    assert hostile in Reader(page).text
    outside = re.sub(r"```.*?```", "", (tmp_path / "report.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    assert "<script>" not in outside


def test_a_problem_named_overview_keeps_its_anchors_apart(tmp_path: Path, sections: list[Section]) -> None:
    small = many(2, 3)
    fits = tuple(replace(f, problem="overview" if f.problem == small.problems[0].name else f.problem) for f in small)
    problems = (replace(small.problems[0], name="overview"), small.problems[1])
    kept = [replace(sections[0], name="ranks"), replace(sections[0], name="numbers")]
    path = write(replace(small, problems=problems, fits=fits), tmp_path, sections=kept)
    reader = Reader(path.read_text(encoding="utf-8"))
    assert len(reader.ids) == len(set(reader.ids))


def test_a_part_that_fails_leaves_a_note(
    tmp_path: Path, comparison: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profiles, "build", fails)
    failures: list[Failure] = []
    third = Registered(Section(name="bad", title="Bad", build=fails))
    path = write(comparison, tmp_path, sections=[third], on_failure=failures.append)
    assert "The section &#39;overview-profiles&#39;" in path.read_text(encoding="utf-8")
    assert failures[0].name == "overview-profiles"
    assert "Time against accuracy" in path.read_text(encoding="utf-8")


def test_one_problem_has_no_overview(tmp_path: Path, small: Comparison, sections: list[Section]) -> None:
    page = write(small, tmp_path, sections=sections[:1]).read_text(encoding="utf-8")
    assert "Performance profiles" not in page
    assert 'class="problem"' not in page


@pytest.mark.parametrize(
    "made", [fake.several(), many(2, 1), many(3, 2), many(1, 1)], ids=["fake", "2x1", "3x2", "1x1"]
)
def test_small_runs_are_still_a_report(tmp_path: Path, made: Comparison) -> None:
    failures: list[Failure] = []
    write(made, tmp_path, sections=[], on_failure=failures.append)
    assert failures == []


def test_runs_without_any_draws_are_still_a_report(tmp_path: Path) -> None:
    made = many(3, 2)
    fits = tuple(replace(fake.failed(fit.guide, fake.Status.FAILED, fit.problem)) for fit in made.fits)
    failures: list[Failure] = []
    path = write(replace(made, fits=fits), tmp_path, sections=[], on_failure=failures.append)
    assert failures == []
    assert "On none of the 3 problems" in path.read_text(encoding="utf-8")


# Verdicts


def test_the_lead_counts_problems_and_names_the_best(comparison: Comparison) -> None:
    assert verdicts.conclusion(comparison) == (
        "Some guide can be trusted as it is on 23 of 25 problems, and reweighted on 2 more. Best or tied most often: "
        "auto_multivariate_normal and auto_iaf_normal (20)."
    )


def test_what_is_missing_is_said_first(overview: Overview) -> None:
    block = verdicts.build(overview)
    notes = [item.text for item in block if isinstance(item, Note)]
    assert notes[0].startswith("No reference on earnings-log_height_model_04, ")
    assert notes[1].startswith("Without draws: auto_iaf_normal on earnings-log_height_model_03 (failed) and ")
    matrix = tables(block)[0]
    assert matrix.rows[3][-1] == Pill("failed", "muted", "!")
    assert matrix.rows[3][0] == Link("earnings-log_height_model_03", "problem-earnings-log_height_model_03")


def test_what_all_names_begin_with_is_said_once(comparison: Comparison) -> None:
    problems = tuple(replace(one, name=f"db/{one.name}") for one in comparison.problems)
    fits = tuple(replace(fit, problem=f"db/{fit.problem}") for fit in comparison.fits)
    overview = Overview(comparison=replace(comparison, problems=problems, fits=fits))
    matrix = tables(verdicts.build(overview))[0]
    assert matrix.columns[0] == "problem db/…"
    assert matrix.rows[3][0] == Link("earnings-log_height_model_03", "problem-db-earnings-log_height_model_03")


# Heat maps


def test_there_is_a_heat_map_for_each_measure_and_absent_guides_are_named(overview: Overview) -> None:
    block = numbers.build(overview)
    assert block is not None
    (tabs,) = [item for item in block if isinstance(item, Tabs)]
    assert [title for title, _ in tabs.tabs] == [
        *("ELBO gap", "Mean error", "Sd error", "k-hat", "Coverage error", "Total time"),
    ]
    figure = tabs.tabs[0][1][0]
    assert isinstance(figure, Figure)
    assert "Defined nowhere, and left out: auto_delta." in figure.caption
    assert "25 problems by 5 guides" in figure.alt


def test_metrics_of_plugins_are_tables_with_their_ranks(comparison: Comparison) -> None:
    theirs = Quantity(name="theirs", better="higher", unit="points")
    value = MetricValue(metric="theirs", value=2.0, mcse=0.1)
    fits = tuple(replace(fit, metrics=(*fit.metrics, value)) for fit in comparison.fits if fit.guide != "auto_delta")
    with_theirs = replace(comparison, fits=fits, quantities=(*comparison.quantities, theirs))
    block = numbers.build(Overview(comparison=with_theirs))
    (found,) = [table for table in tables(block) if table.caption.startswith("theirs")]
    assert found.caption.startswith("theirs (points): higher is better.")
    assert found.rows[0][1] == Number(2.0, 0.1, digits=3)
    assert found.rows[-1] == ["average rank over 25 problems", *[Number(3.0, digits=3)] * 5]
    assert "crps" in [table.caption.split(" ")[0].rstrip(":") for table in tables(block)]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *[(0.0, "0"), (0.0123, "0.012"), (1.25, "1.2"), (45.4, "45"), (456.7, "457"), (9999.6, "1e4"), (1e-5, "1e-5")],
        *[(2.4e20, "2e20"), (float("inf"), "inf"), (float("nan"), ""), (0.996, "1.0"), (0.4, "0.40"), (-0.5, "-0.50")],
    ],
)
def test_numbers_in_cells_are_short(value: float, text: str) -> None:
    assert short(value) == text
    assert len(text) <= 6


def test_colours_are_not_ruled_by_one_absurd_value() -> None:
    norm = norm_of(np.array([0.0, 0.05, 3.0, 1e20, np.inf, np.nan]), Quantity(name="a", scale="log", floor=0.01))
    assert (norm.vmin, norm.vmax) == (0.01, 100.0)
    assert norm(0.0) == 0
    assert norm(1e20) == 1
    flat = norm_of(np.array([0.4]), Quantity(name="a"))
    assert flat.vmax > flat.vmin  # type: ignore[operator]


def test_colours_say_which_way_is_worse() -> None:
    near = Quantity(name="a", better="nominal", nominal=1.0, scale="nominal")
    norm = norm_of(np.array([0.5, 1.2, np.nan]), near)
    assert (norm.vmin, norm.vmax, norm(1.0)) == (0.5, 1.5, 0.5)
    names = [colours_of(one) for one in (near, Quantity(name="a", better="lower"), Quantity(name="a", better="higher"))]
    assert names == ["RdBu_r", "YlGnBu", "YlGnBu_r"]


def test_long_names_are_broken_where_they_can_be() -> None:
    assert wrapped("auto_laplace_approximation", 14) == "auto_laplace_\napproximation"
    assert max(map(len, wrapped("x" * 50, 10).split("\n"))) <= 11
    assert wrapped("flow:rank=3,width=2", 12).replace("\n", "") == "flow:rank=3,width=2"
    assert without_middle("abcdefghij", 5) == "ab…ij"


# Ranks, profiles, times


def test_ranks_say_of_which_problems_they_are(overview: Overview) -> None:
    block = ranks.build(overview)
    assert block is not None
    (tabs,) = [item for item in block if isinstance(item, Tabs)]
    content = tabs.tabs[0][1]
    assert "Over 18 problems on which all compared guides have a value." in texts(content)
    assert "Left out: 2 more, for lack of a value of auto_iaf_normal (2)" in texts(content)
    assert "Not compared, because defined on too few problems: auto_delta (0)." in texts(content)
    assert "p < 0.001); Kendall's W is" in texts(content)
    head, pairs = tables(content)
    assert head.rows[0][0] == overview.key("auto_iaf_normal")
    assert len(pairs.rows) == 10
    assert "Holm's correction is for 10 pairs." in pairs.caption


def test_few_problems_get_no_p_value() -> None:
    block = ranks.build(Overview(comparison=many(5, 6, failures=False)))
    (tabs,) = [item for item in block or () if isinstance(item, Tabs)]
    for _, content in tabs.tabs:
        assert "No test of whether guides differ: only" in texts(content)
        pairs = tables(content)[1]
        assert all(row[4:6] == [None, None] for row in pairs.rows)
        assert pairs.rows[0][-1] == Pill("not known", "muted")
        assert pairs.caption == "No p-values: Wilcoxon's test needs 6 problems that differ."


def test_it_is_said_where_no_pair_can_get_below_the_level() -> None:
    block = ranks.build(Overview(comparison=many(8, 6, failures=False)))  # seven of them have a reference
    pairs = tables(block)[1]
    assert "no pair can get below p = 0.16 with so few problems" in pairs.caption


def test_profiles_count_failures_and_say_what_they_do_not(overview: Overview) -> None:
    block = profiles.build(overview)
    assert block is not None
    notes = [item.text for item in block if isinstance(item, Note)]
    assert notes[0] == (
        "Error of mean and sd: no value, counted as infinitely bad, of auto_iaf_normal (2). Not defined for auto_delta."
    )
    assert "not who is second" in notes[-1]
    assert profiles.build(Overview(comparison=many(2, 1))) is None


def test_times_name_who_is_worth_it(overview: Overview) -> None:
    block = times.build(overview)
    (table,) = tables(block)
    assert table.rows[0][0] == overview.key("auto_laplace_approximation")
    assert "No other guide is both quicker and better in the median than auto_multivariate_normal, " in texts(block)


# Winners


def test_winners_have_a_row_per_problem_and_features_are_in_words(overview: Overview) -> None:
    block = winners.build(overview)
    first, folded = tables(block)
    assert len(first.rows) == len(folded.rows) == 25
    assert folded.columns[1:3] == ["dimension", "largest correlation"]
    assert folded.rows[4][-1] == "the search"
    assert "that of mean_field grows with the largest correlation" in texts(block)
    assert "after Holm's correction for 30 tests" in texts(block)


def test_where_nobody_is_usable_nobody_wins() -> None:
    made = many(3, 2)
    fits = tuple(replace(fit, verdict=Verdict.DISTRUST) for fit in made.fits)
    block = winners.build(Overview(comparison=replace(made, fits=fits)))
    table = tables(block)[0]
    assert str(table.rows[0][1]).endswith("(closest; not usable)")
    assert "there are too few problems" in texts(block)


def test_features_that_nobody_computed_are_left_out() -> None:
    made = many(7, 3)
    problems = tuple(replace(one, features={}) for one in made.problems)
    block = winners.build(Overview(comparison=replace(made, problems=problems)))
    assert len(tables(block)) == 1
