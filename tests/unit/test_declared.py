"""What a number means is declared with its metric, saved with the results, and read there by whatever shows it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import guidebench as gb
from guidebench.cli import tables
from guidebench.config.errors import PluginError, RequestError
from guidebench.contracts import Metric, Quantity, Rule
from guidebench.metrics.builtin import guidebench_metrics
from guidebench.metrics.evidence import Evidence, Heldout
from guidebench.plugins.isolation.failures import OWN
from guidebench.plugins.registry import Registered, Registry, load_registry
from guidebench.report.overview import numbers, ranks
from guidebench.report.overview.seen import Overview
from guidebench.report.page import Page
from guidebench.report.sections import summary
from guidebench.request import declared
from guidebench.results import store, summary_columns
from guidebench.results.store import RESULTS
from tests import made

#: A metric of a plugin with everything that a metric can declare.
THEIRS = Metric(
    name="sharpness",
    compute=lambda evidence: (),
    title="Sharpness",
    unit="points",
    better="higher",
    scale="log",
    floor=0.5,
    note="How sharp it is.",
    columns=("value", "mcse"),
    heading="sharp",
    form="error",
    digits=1,
    heat_map=15,
    rule=Rule(decides=True, smallest=0.1),
    values=(Quantity(name="sharpness_centre", better="nominal", nominal=2.0, rule=Rule(smallest=0.1)),),
    summary="A metric",
)

QUANTITIES = declared.quantities(
    Registry(metrics=(*load_registry(third_parties=False).metrics, Registered(THEIRS, "theirs", "acme")))
)


def comparison(sharp: float = 3.0, centre: float = 2.0, quantities: tuple[Quantity, ...] = QUANTITIES) -> gb.Comparison:
    def fit(problem: str, guide: str, better: float) -> gb.Fit:
        metrics = made.values({"elbo": -1.0, "sharpness": sharp + better, "sharpness_centre": centre}, mcse=0.01)
        return made.fit(guide, metrics, problem=problem, restarts=made.restarts([-1.0] * 3))

    fits = [fit(problem, guide, better) for problem in ("p", "q") for guide, better in (("a", 0.0), ("b", 1.0))]
    return made.comparison(*fits, name="both", quantities=quantities)


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """No plugin is looked for."""

    def looked(*_: Any, **__: Any) -> Registry:
        raise AssertionError("the plugins of today were asked")

    monkeypatch.setattr(declared, "find_plugins", looked)
    monkeypatch.setattr(declared, "load_registry", looked)


def test_declarations_are_plain_data_that_come_back(tmp_path: Path, nobody: None) -> None:
    made = comparison()
    assert store.load(store.save(made, tmp_path)).quantities == made.quantities
    saved = {one["name"]: one for one in json.loads((tmp_path / RESULTS).read_text())["quantities"]}
    assert saved["sharpness"]["plugin"] == "acme"
    assert saved["sharpness_centre"]["part_of"] == "sharpness"
    assert saved["elbo"]["plugin"] == OWN
    assert saved["mean_error"]["rule"]["measured_on"] == "reference"


def test_results_say_the_same_with_their_plugin_gone(tmp_path: Path, nobody: None) -> None:
    before, after = (comparison(sharp=sharp, centre=sharp) for sharp in (3.0, 2.0))
    for name, one in (("before", before), ("after", after)):
        one.save(tmp_path / name)
    loaded = gb.load(tmp_path / "before")
    assert loaded.table("sharpness").equals(before.table("sharpness"))
    assert list(loaded.ranks("sharpness").index) == ["b", "a"]  # higher is better, says the declaration
    with pytest.raises(RequestError, match="of which nominal is better"):
        loaded.ranks("sharpness_centre")
    assert loaded.summary().equals(before.summary())
    block, other = (numbers.build(Overview(comparison=one)) for one in (loaded, before))
    assert block is not None
    assert [figure.alt for figure in block.figures()] == [figure.alt for figure in other.figures()]  # type: ignore[union-attr]
    found = gb.diff(tmp_path / "before", tmp_path / "after")
    assert [(one.name, one.guide) for one in found.worse] == [("sharpness", guide) for guide in "abab"]
    assert {(one.name, str(one.outcome)) for one in found.noted} == {("sharpness_centre", "better")}
    assert found.changes == gb.diff(before, after).changes


def test_a_declaration_is_all_that_a_first_class_metric_takes(capsys: pytest.CaptureFixture[str]) -> None:
    made = comparison()
    columns = list(made.summary().columns)
    assert columns[columns.index("elpd") + 1 :][:3] == ["gradients", "sharpness", "sharpness_mcse"]
    assert made.summary()["sharpness"].tolist() == [3.0, 4.0, 3.0, 4.0]
    overview = Overview(comparison=made)
    assert [one.name for one in overview.mapped] == [
        *("elbo_gap", "mean_error", "sharpness", "sd_error", "khat", "calibration_error", "seconds")
    ]
    assert "sharpness" in [one.name for one in ranks.ranked(overview)]
    maps = numbers.build(overview)
    assert maps is not None
    assert "Heat map of Sharpness (points): 2 problems by 2 guides" in [figure.alt for figure in maps.figures()]
    one = replace(made, problems=made.problems[:1], fits=made.fits[:2])
    tables.print_comparison(one, Path("report.html"))
    text = capsys.readouterr().out
    assert "sharp" in text
    assert "4.0 ± 0.0" in text
    assert "sharp" in summary.table(Page(comparison=one, problem=one.problems[0])).columns
    assert "sharp" in one._repr_html_()


def test_results_of_an_earlier_version_mean_what_is_declared_today(tmp_path: Path) -> None:
    made = comparison(quantities=declared.quantities(load_registry(third_parties=False)))
    bare = tuple(replace(fit, metrics=fit.metrics[:1]) for fit in made.fits)
    folder = replace(made, fits=bare).save(tmp_path)
    raw = json.loads((folder / RESULTS).read_text())
    del raw["quantities"], raw["digest"]
    (folder / RESULTS).write_text(json.dumps(raw))
    assert store.load(folder).quantities == ()
    assert gb.load(folder).quantities == made.quantities
    assert gb.load(folder).summary().to_csv(index=False) == (folder / "summary.csv").read_text()


def test_others_are_asked_only_about_what_guidebench_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry(metrics=(Registered(THEIRS, "theirs", "acme"),))
    asked = []
    monkeypatch.setattr(declared, "find_plugins", lambda **_: asked.append(1) or registry)
    assert declared.installed(["elbo", "coverage_90", "simulated_bias"]) == declared.quantities(
        load_registry(third_parties=False)
    )
    assert not asked
    assert "sharpness" in {one.name for one in declared.installed(["elbo", "sharpness"])}
    assert asked


def test_a_name_that_is_taken_keeps_its_meaning() -> None:
    thief = Metric(name="thief", compute=lambda _: (), values=(Quantity(name="elbo", better="lower"),))
    own = load_registry(third_parties=False).metrics
    found = declared.quantities(Registry(metrics=(*own, Registered(thief, "thief", "thief"))))
    (elbo,) = [one for one in found if one.name == "elbo"]
    assert (elbo.better, elbo.plugin) == ("higher", OWN)


def test_every_number_of_guidebench_is_described() -> None:
    rng = np.random.default_rng(0)
    draws, heldout = rng.normal(size=(400, 2)), rng.normal(size=(400, 20))
    evidence = Evidence(
        latents={"x": draws},
        log_weights=rng.normal(size=400) / 10,
        restart_elbos=(-1.0, -2.0),
        heldout=Heldout(
            observed={"y": rng.normal(size=20)}, predicted={"y": heldout}, log_likelihood={"y": -(heldout**2)}
        ),
        reference={"x": rng.normal(size=(300, 2))},
        mode_shares=((0.6, 1.0), (0.4, 0.0)),
    )
    described = {one.name for one in declared.quantities(load_registry(third_parties=False))}
    for metric in guidebench_metrics():
        assert {one.metric or metric.name for one in metric.compute(evidence)} <= described, metric.name


def test_the_columns_of_metrics_stand_in_the_order_of_their_declarations() -> None:
    own = declared.quantities(load_registry(third_parties=False))
    columns = summary_columns(own)
    assert columns[6:25] == (
        *("elbo", "elbo_mcse", "elbo_restart_sd", "log_evidence", "khat", "khat_threshold", "ess"),
        *("mean_error", "sd_error", "w1_error", "correlation_error"),
        *("coverage_50", "coverage_80", "coverage_90", "coverage_95", "calibration_error", "crps", "elpd"),
        "gradients",
    )
    assert len(columns) == 31


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("scale", "square", "scale 'square' is not one of linear, log, nominal"),
        ("scale", "nominal", "needs a nominal value"),
        ("columns", ("mean",), "columns 'mean' is not one of value, mcse"),
        ("form", "roman", "form 'roman' is not one of"),
        ("better", "larger", "better 'larger' is not one of"),
        ("title", 3, "title must be text"),
        ("rule", {}, "rule must be a Rule"),
        ("values", [Quantity(name="a")], "values must be a tuple of Quantity"),
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused(part: str, value: Any, message: str) -> None:
    with pytest.raises(PluginError, match=message):
        Metric(**{"name": "mine", "compute": lambda _: (), part: value})
