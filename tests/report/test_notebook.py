"""What a comparison, a fit and a figure look like in a notebook."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from guidebench.analysis.recommendation import recommend
from guidebench.api import Comparison
from guidebench.report import writer
from guidebench.report.content import Figure
from guidebench.report.sections.summary import remark
from guidebench.results import Status, Verdict, store
from tests import made
from tests.report import fake
from tests.report.test_writer import Reader


@pytest.fixture(scope="module")
def page(small: Comparison) -> str:
    return small._repr_html_()


def columns(page: str) -> list[str]:
    return [re.sub("<[^>]*>", "", one) for one in re.findall(r'<th scope="col"[^>]*>(.*?)</th>', page)]


def test_the_recommendation_stands_above_and_the_reference_below(small: Comparison, page: str) -> None:
    text = " ".join(Reader(page).text.split())
    said = " ".join(recommend(small.fits).split())
    assert said in text
    assert text.index(said) < text.index("ELBO (nat)") < text.index("Exact log evidence: -22.882 nat")


def test_there_is_a_row_for_every_guide_with_its_verdict(small: Comparison, page: str) -> None:
    rows = re.findall(r"<tbody[^>]*><tr>.*?</tr>", page)
    assert len(rows) == len(small)
    for fit, row in zip(small, rows, strict=True):
        text = Reader(row).text
        assert fit.guide in text or "&lt;" in row
        assert str(fit.verdict) in text
        assert f'class="pill {TONES[fit.verdict]}"' in row


TONES = {
    Verdict.TRUST: "good",
    Verdict.REWEIGHT: "fair",
    Verdict.DISTRUST: "bad",
    Verdict.POINT: "neutral",
    Verdict.FAILED: "muted",
}


def test_a_column_without_numbers_is_left_out(small: Comparison, page: str) -> None:
    assert "coverage at 90 %" in columns(page)
    without = replace(
        small,
        fits=tuple(
            replace(fit, metrics=tuple(one for one in fit.metrics if one.metric != "coverage_90")) for fit in small
        ),
    )
    assert "coverage at 90 %" not in columns(without._repr_html_())


def test_a_point_estimate_has_no_elbo(small: Comparison) -> None:
    page = small["auto_delta"]._repr_html_()
    assert "ELBO (nat)" not in columns(page)
    assert remark(small["auto_delta"]) in Reader(page).text


def test_a_fit_says_its_verdict_and_why(small: Comparison) -> None:
    fit = small["auto_normal"]
    page = fit._repr_html_()
    assert columns(page)[:2] == ["verdict", "ELBO (nat)"]
    assert remark(fit) in " ".join(Reader(page).text.split())


def test_everything_is_escaped() -> None:
    hostile = made.fit(
        fake.HOSTILE,
        problem=fake.HOSTILE,
        plugin=fake.HOSTILE,
        status=Status.FAILED,
        verdict=Verdict.FAILED,
        message=fake.HOSTILE,
        reason=fake.HOSTILE,
    )
    known = {"reference": fake.HOSTILE, "reference_note": fake.HOSTILE}
    comparison = made.comparison(hostile, known=known, name=fake.HOSTILE, interrupted=True)
    for page in (comparison._repr_html_(), hostile._repr_html_()):
        read = Reader(page)
        assert "script" not in read.tags
        assert fake.HOSTILE in read.text
        assert read.references == []


def test_nothing_reaches_outside_of_its_frame(page: str) -> None:
    style = page.partition("<style>")[2].partition("</style>")[0]
    for rule in re.sub(r"/\*.*?\*/", "", style, flags=re.DOTALL).split("}"):
        selectors = rule.partition("{")[0].strip()
        assert all(one.strip().startswith("div.guidebench") for one in selectors.split(",") if one.strip())
    # Colours of text and page are the notebook's, be it light or dark: only pills bring both.
    for rule in re.findall(r"([^{}]*)\{([^{}]*)\}", style):
        assert "color: #" not in rule[1] or ".pill." in rule[0]


def test_several_problems_are_shown_one_after_another() -> None:
    comparison = fake.several()
    text = Reader(comparison._repr_html_()).text
    places = [text.index(problem.name) for problem in comparison.problems]
    assert places == sorted(places)


def test_an_empty_comparison_shows_itself() -> None:
    comparison = made.comparison(name="empty")
    assert "No guide was trained." in comparison._repr_html_()
    assert repr(comparison) == "<Comparison empty: 0 fits>"


def test_text_is_short(small: Comparison) -> None:
    assert repr(small).startswith(f"<Comparison {small.name}: {len(small)} fits (")
    assert len(repr(small)) < 200
    fit = small["auto_normal"]
    assert re.fullmatch(r"<Fit auto_normal on [\w-]+: distrust, max_steps, ELBO -\d+\.\d{3} ± \d\.\d{3}>", repr(fit))
    assert all(len(repr(one)) < 200 for one in small)


# Draws


def test_draws_are_had_by_guide(small: Comparison) -> None:
    drawn = small.inference_data
    assert list(drawn) == [fit.guide for fit in small if fit.inference_data is not None]
    assert len(drawn) < len(small)
    assert drawn["auto_normal"] is small["auto_normal"].inference_data


def test_draws_of_several_problems_are_had_by_problem_and_guide() -> None:
    comparison = fake.several()
    drawn = comparison.inference_data
    assert drawn
    for (problem, guide), data in drawn.items():
        assert comparison[problem, guide].inference_data is data


# Figures


def test_figures_are_those_of_the_report(small: Comparison, tmp_path: Path) -> None:
    written = writer.write(small, tmp_path)
    names = {file.stem for file in (written.parent / "figures").glob("*.png")}
    assert set(small.figures) == names
    assert len(small.figures) == len(names)
    figure = small.figures["marginals"]
    assert isinstance(figure, Figure)
    assert figure._repr_png_() == (tmp_path / "figures" / "marginals.png").read_bytes()
    assert figure.save(tmp_path / "new" / "picture.png").read_bytes() == figure.png
    assert repr(small.figures).startswith("<Figures: ")


def test_figures_are_drawn_once_and_only_when_asked_for(monkeypatch: pytest.MonkeyPatch, small: Comparison) -> None:
    drawn: list[Any] = []
    made = {"one": Figure(name="one", png=b"png", alt="one")}
    monkeypatch.setattr(writer, "figures", lambda comparison, sections: drawn.append(comparison) or made)
    comparison = replace(small)
    figures = comparison.figures
    assert drawn == []
    assert comparison.figures["one"].png == b"png"
    assert figures is comparison.figures
    assert len(drawn) == 1
    with pytest.raises(KeyError, match="no figure 'two' in this report; its figures are one"):
        figures["two"]


# Files


def test_a_comparison_is_saved_loaded_and_reported(small: Comparison, tmp_path: Path) -> None:
    folder = small.save(tmp_path / "saved")
    loaded = Comparison.load(folder)
    assert [repr(fit) for fit in loaded] == [repr(fit) for fit in small]
    assert [repr(fit) for fit in store.load(folder)] == [repr(fit) for fit in small]
    page = replace(loaded, config={"log_loss": True}).report(tmp_path / "report")
    assert page == tmp_path / "report" / "report.html"
    assert page.is_file()
    assert (tmp_path / "report" / "results.json").is_file()
