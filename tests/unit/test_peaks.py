"""Which modes matter, and how many there may be: closed forms, and a law checked by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from guidebench.inference.mode_shares import mode_shares
from guidebench.inference.peaks import Mode, apart, described, expected_number, moved_without, nearest, that_matter


def mode(share: float, *location: float, sd: float = 1.0) -> Mode:
    return Mode(location=np.array(location), factor=sd * np.eye(len(location)), log_mass=7 + np.log(share))


@pytest.mark.parametrize(
    ("light", "counted"),
    [
        (mode(0.02, 0.5, 0.0), True),  # for its mass alone
        (mode(0.005, 1.0, 0.0), False),
        (mode(0.005, 9.0, 0.0), True),  # moves a mean by 0.045, an sd by a fifth
        (mode(0.0005, 0.0, 5.0), False),  # adds one per cent to a variance
        (mode(0.0005, 0.0, 15.0), True),  # and eleven
        (mode(0.002, 0.0, 0.0, sd=10.0), True),  # a fifth, though in the same place
    ],
)
def test_a_mode_counts_by_its_mass_or_by_what_moments_are_without_it(light: Mode, counted: bool) -> None:
    heavy = mode(1.0, 0.0, 0.0)
    kept, left = that_matter([light, heavy])
    assert (kept, left) == (((heavy, light), ()) if counted else ((heavy,), (light,)))


def test_what_is_off_without_a_mode_is_the_closed_form() -> None:
    """Modes of 90 and 10 % at 0 and 12, of unit sds: their mean is 1.2 and their variance 1 + .09 * 144."""
    both = [mode(0.9, 0.0), mode(0.1, 12.0)]
    assert moved_without(both, {1}) == pytest.approx(max(1.2 / 13.96**0.5, 2 / 3 * (1 - 13.96**-0.5)))
    assert moved_without(both, {0, 1}) == float("inf")
    assert moved_without(both, ()) == pytest.approx(0)


def test_shares_are_told_of_modes_that_matter() -> None:
    points = np.concatenate([np.zeros((3_000, 1)), np.full((1_000, 1), 12.0)])
    shares = mode_shares([mode(0.9, 0.0), mode(0.1, 12.0)], points)
    assert shares == [(pytest.approx(0.9), 0.75), (pytest.approx(0.1), 0.25)]
    assert mode_shares([mode(0.98, 0.0), mode(0.02, 1.0)], points) == []
    many = [mode(0.9, 0.0), *(mode(2.5e-3, 5.0 * (-1) ** number) for number in range(40))]
    assert len(mode_shares(many, points)) == 41


def test_many_light_modes_count_together() -> None:
    """Each of forty adds half a per cent to a variance; together they add a fifth."""
    heavy = mode(1.0, 0.0)
    light = [mode(2e-4 * (1 + 0.001 * number), 5.0 * (-1) ** number) for number in range(40)]
    assert that_matter([heavy, light[0]])[1] == (light[0],)
    kept, left = that_matter([heavy, *light])
    assert 20 < len(kept) < 41
    assert len(kept) + len(left) == 41


@pytest.mark.parametrize("wide", [False, True], ids=["factors", "scales"])
def test_where_a_mode_ends(wide: bool) -> None:
    factor = np.array([2.0, 0.5])
    one = Mode(location=np.zeros(2), factor=factor if wide else np.diag(factor), log_mass=0.0)
    far = 1.1 if wide else 0.11
    assert apart(np.array([far * 2, 0.0]), [one])
    assert apart(np.array([0.0, far / 2]), [one])
    assert not apart(np.array([0.9 * far * 2, 0.0]), [one])
    other = Mode(location=np.array([8.0, 0.0]), factor=one.factor, log_mass=0.0)
    assert nearest([one, other], np.array([[3.9, 0.0], [4.1, 0.0], [-1.0, 3.0]])).tolist() == [0, 1, 0]


def test_the_number_of_modes_to_be_expected_is_the_mean_of_its_posterior() -> None:
    """Draw how many basins there are and how large they are from the prior, search them, and keep what fits.

    The prior on the number is uniform, here up to 150, and on the sizes given that too.
    """
    rng = np.random.default_rng(0)
    searches, found = 14, 3
    kept = []
    for _ in range(60_000):
        number = rng.integers(1, 151)
        sizes = rng.dirichlet(np.ones(number))
        if len(np.unique(rng.choice(number, searches, p=sizes))) == found:
            kept.append(number)
    # The tail beyond 150 is less than a hundredth of the mean.
    assert np.mean(kept) == pytest.approx(expected_number(found, searches), abs=4 * np.std(kept) / np.sqrt(len(kept)))


@pytest.mark.parametrize(
    ("found", "ended", "searches", "words"),
    [
        (1, 16, 16, "16 starts, 1 mode, probably all"),
        (2, 16, 16, "16 starts, 2 modes, probably all"),
        (3, 16, 16, "16 starts, 3 modes: about 4 in all are to be expected"),
        (12, 16, 16, "16 starts, 12 modes: more are likely"),
        (16, 16, 16, "16 starts, 16 modes: more are likely"),
        (1, 2, 16, "16 starts (14 of which ended at none), 1 mode: more are likely"),
        (0, 0, 1, "1 start, no mode: "),
    ],
)
def test_what_is_said_of_a_search(found: int, ended: int, searches: int, words: str) -> None:
    assert described(found, ended, searches).startswith(words)
