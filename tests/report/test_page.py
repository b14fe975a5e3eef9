from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest
import seaborn as sns
from PIL import Image

from guidebench.api import Comparison
from guidebench.report.drawing import legend_columns, panels, spread_labels, style, title
from guidebench.report.page import Page
from guidebench.report.palette import COLOURS, styles, verdict_pill
from guidebench.report.png import quantise
from guidebench.results import Verdict
from tests.report import fake


def test_declaring_sections_imports_nothing_heavy() -> None:
    code = (
        "import sys; from guidebench.report.builtin import guidebench_sections; found = list(guidebench_sections());"
        "heavy = {'matplotlib', 'jax', 'arviz', 'pandas', 'numpy', 'jinja2', 'seaborn'} & set(sys.modules);"
        "print(len(found), sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "19 []"


def test_the_colours_are_seaborns_for_the_colour_blind_and_more() -> None:
    assert set(COLOURS) >= set(sns.color_palette("colorblind").as_hex())
    channels = np.array([[int(colour[at : at + 2], 16) for at in (1, 3, 5)] for colour in COLOURS])
    apart = np.abs(channels[:, None] - channels[None]).sum(axis=-1) + 1000 * np.eye(len(COLOURS))
    assert apart.min() >= 63  # as far as the closest two of seaborn's


def test_sixteen_guides_have_colours_of_their_own_and_dashes_come_every_eight() -> None:
    found = styles([f"guide{i}" for i in range(33)])
    assert len({found[f"guide{i}"].colour for i in range(16)}) == 16
    assert [found[f"guide{i}"].dashes for i in (0, 7)] == ["-", "-"]
    assert found["guide8"].dashes == found["guide15"].dashes != "-"
    assert found["guide16"].colour == found["guide0"].colour
    assert len({found[f"guide{i}"] for i in range(32)}) == 32
    several = fake.several()
    one, other = (Page(comparison=several, problem=problem) for problem in several.problems)
    assert one.colour(several["linear-regression", "auto_normal"]) == other.colour(several["large", "auto_normal"])


@pytest.mark.parametrize("verdict", Verdict)
def test_every_verdict_is_a_word(verdict: Verdict) -> None:
    assert verdict_pill(verdict).text == str(verdict)


def test_who_has_draws(page: Page) -> None:
    assert "broken_guide" not in {fit.guide for fit in page.drawn}
    assert {fit.guide for fit in page.drawn} - {fit.guide for fit in page.spread} == {"auto_delta"}
    note = page.left_out(page.drawn)
    assert note is not None
    assert note.text == "Not shown, for lack of draws: broken_guide (failed) and unfit_guide (unsupported)."
    assert page.left_out(page.fits) is None
    with pytest.raises(ValueError, match="broken_guide has no posterior"):
        page.values(page.comparison["broken_guide"], page.components(1)[0][0])


def test_a_figure_becomes_a_small_png_with_white_paper(page: Page) -> None:
    with style():
        fig, (ax,) = page.panels(1, 1, width=4.0, height=2.0)
        ax.plot([0, 1], [0, 1])
        made = page.figure("Same name", fig, alt="A line")
        again = page.figure("Same name", fig, alt="A line")
    assert (made.name, again.name) == ("same-name", "same-name-2")
    assert made.max_width == 460
    assert made.min_width <= made.max_width
    image = Image.open(io.BytesIO(made.png))
    assert image.size == (made.width, made.height)
    assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def test_few_colours_survive_the_palette_exactly() -> None:
    pixels = np.full((4, 5, 4), 255, dtype=np.uint8)
    pixels[1:3, 1:4, :3] = (227, 230, 235)
    pixels[0, 0, :3] = (1, 115, 178)
    indices, palette = quantise(pixels)
    np.testing.assert_array_equal(palette[indices], pixels[..., :3])


def test_many_colours_come_close() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, size=(60, 60, 4), dtype=np.uint8)
    indices, palette = quantise(pixels)
    assert len(palette) == 256
    error = np.abs(palette[indices].astype(int) - pixels[..., :3]).mean()
    assert error < 30


def test_panels_have_the_size_that_was_asked_for() -> None:
    fig, axes = panels(5, 3, height=2.0, width=9.0, gap=(0.5, 0.5), margin=(0.5, 0.5, 0.5, 0.5))
    assert len(axes) == 5
    assert tuple(fig.get_size_inches()) == (9.0, 5.5)
    box = axes[3].get_position()
    np.testing.assert_allclose([box.x0 * 9, box.y0 * 5.5, box.height * 5.5], [0.5, 0.5, 2.0])


def test_a_long_name_loses_its_middle() -> None:
    with style():
        _, (ax,) = panels(1, 1, width=2.6, margin=(0.3, 0.3, 0.3, 0.3))
        title(ax, "short")
        assert ax.get_title() == "short"
        title(ax, "auto_bnaf_normal:hidden_factor=16,layers=2")
    assert ax.get_title() == "auto_bnaf_n…=16,layers=2"


def test_labels_are_moved_apart_within_the_axis() -> None:
    assert spread_labels([0.0, 5.0, 10.0], 1.0, 0.0, 10.0) == [0.0, 5.0, 10.0]
    assert spread_labels([5.0, 5.0], 1.0, 0.0, 10.0) == [5.0, 6.0]
    assert spread_labels([10.0, 9.9, 10.0], 1.0, 0.0, 10.0) == [9.0, 8.0, 10.0]
    assert legend_columns(["x" * 400]) == 1


def test_a_large_model_is_listed_in_part(large: Comparison, large_page: Page) -> None:
    components, total = large_page.components(12)
    assert (len(components), total) == (12, 40)
    assert large_page.truth(components[0]) == 0.0
