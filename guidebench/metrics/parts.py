"""What the numbers mean that come by the dozen: coverages, the bins of a histogram, and those of simulated data."""

from __future__ import annotations

from collections.abc import Iterator

from guidebench.contracts import Quantity, Rule

NOT_COMPARED = Rule(compared=False)

#: A shift of one sd has a total variation of half of that at most, and so has what a coverage moves by.
_HELDOUT = Rule(smallest=0.05, per_sd=0.5)

#: Nominal levels, in per cent, of the observed-against-nominal curve.
LEVELS = tuple(range(5, 100, 5))

#: Those whose observed coverage comes with an interval.
INTERVAL_LEVELS = (50, 80, 90, 95)

#: Bins of the histogram of the probability integral transform.
PIT_BINS = 10


def coverages() -> Iterator[Quantity]:
    """Yield the coverage at each level, the ends of its interval, and the mean distance from the nominal one."""
    for level in LEVELS:
        yield Quantity(
            name=f"coverage_{level:02d}",
            title=f"Coverage at {level} %",
            unit="probability",
            better="nominal",
            nominal=level / 100,
            columns=("value",) if level in INTERVAL_LEVELS else (),
            heading="cover\n90 %" if level == 90 else "",
            form="percent",
            rule=_HELDOUT,
        )
    for level in INTERVAL_LEVELS:
        for end in ("low", "high"):
            yield Quantity(name=f"coverage_{level}_{end}", unit="probability", rule=NOT_COMPARED)
    yield Quantity(
        name="calibration_error",
        title="Coverage error",
        unit="probability",
        better="lower",
        floor=0.0,
        note="Mean distance between observed and nominal coverage of held-out data; not defined without them.",
        columns=("value",),
        heat_map=40,
        rule=Rule(
            decides=True,
            smallest=0.02,
            errors_of=tuple(f"coverage_{level:02d}" for level in LEVELS),
            per_sd=0.5,
        ),
    )


def histogram() -> Iterator[Quantity]:
    """Yield the share of the probability integral transform in each bin, and its distance from uniform."""
    for number in range(1, PIT_BINS + 1):
        yield Quantity(
            name=f"pit_{number:02d}", unit="probability", better="nominal", nominal=1 / PIT_BINS, rule=_HELDOUT
        )
    yield Quantity(name="pit_distance", unit="probability", better="lower", rule=_HELDOUT)


def _simulated() -> Iterator[Quantity]:
    for level in INTERVAL_LEVELS:
        yield Quantity(
            name=f"simulated_coverage_{level}",
            title=f"True coverage at {level} %",
            unit="probability",
            better="nominal",
            nominal=level / 100,
            note=f"True {level} %: coverage of {level} % intervals over simulated data, least and most of all latents.",
            heading="true\n90 %" if level == 90 else "",
            form="percent",
            rule=Rule(smallest=0.05),
        )
        for end in ("low", "high"):
            yield Quantity(name=f"simulated_coverage_{level}_{end}", unit="probability", rule=NOT_COMPARED)
    yield Quantity(name="simulated_bias", better="nominal", nominal=0.0, rule=Rule(smallest=0.05))
    for name in ("simulated_bias_p", "simulated_uniformity_p", "simulated_converged"):
        yield Quantity(name=name, unit="probability", rule=NOT_COMPARED)


#: What the numbers mean that come from simulated data sets, not from the draws of one fit.
SIMULATED = tuple(_simulated())
