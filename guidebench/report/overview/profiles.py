"""Performance profiles: on which share of the problems a guide is close to the best."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from matplotlib.axes import Axes

from guidebench.analysis.problems import ERROR, MAIN, Measure, Profile, errors, profile, table
from guidebench.report.content import Block, Note
from guidebench.report.drawing import legend, legend_height, panels
from guidebench.report.overview.seen import Overview
from guidebench.report.text import listed

#: A ratio or difference beyond which the curves are not followed.
FARTHEST = 1e4

#: Where the axis of a difference ceases to be linear.
LINEAR = 0.01

Kind = Literal["ratio", "difference"]


def found(overview: Overview) -> list[tuple[Measure, Profile]]:
    """Return the profiles that can be made, for error, ELBO and time."""
    named = {measure.name: measure for measure in (ERROR, *MAIN)}
    kinds: list[tuple[str, Kind]] = [("error", "ratio"), ("elbo_gap", "difference"), ("seconds", "ratio")]
    made = []
    for name, kind in kinds:
        measure = named[name]
        values = table(overview.comparison, measure)
        noise = errors(overview.comparison, measure) if kind == "ratio" else None
        one = profile(values, noise, kind)
        if one.problems > 1 and one.ratios.shape[1] > 1:
            made.append((measure, one))
    return made


def build(overview: Overview) -> Block | None:
    """Return one figure with a panel per measure, or ``None`` where there is nothing to compare."""
    made = found(overview)
    if not made:
        return None
    guides = [guide for guide in overview.guides if any(guide in one.ratios for _, one in made)]
    top = legend_height(guides) + 0.35
    figure, axes = panels(len(made), len(made), height=2.6, margin=(0.62, 0.15, top, 0.55), gap=(0.6, 0.6))
    for ax, (measure, one) in zip(axes, made, strict=True):
        draw(ax, measure, one, overview)
    axes[0].set_ylabel("share of problems")
    legend(figure, overview.legend(guides))
    caption = (
        "Share of problems on which a guide is within a factor (or, for the ELBO, so many nats) of the best guide "
        "there. The height on the left says how often it is the best, ties included; that on the right, on how many "
        "it gives a number at all: a fit that failed is infinitely bad. Errors below their own Monte Carlo error count "
        "as that."
    )
    return Block(
        overview.figure(
            "profiles", figure, alt=f"Performance profiles of {listed([m.title for m, _ in made])}", caption=caption
        ),
        *(Note(text) for text in remarks(made)),
    )


def draw(ax: Axes, measure: Measure, one: Profile, overview: Overview) -> None:
    """Draw the step functions of one measure."""
    finite = one.ratios.to_numpy(dtype=float)
    finite = finite[np.isfinite(finite)]
    ratio = one.kind == "ratio"
    start = 1.0 if ratio else 0.0
    end = min(float(finite.max(initial=start)) * 1.15, FARTHEST)
    end = max(end, 2.0 if ratio else 0.1)
    for guide in (name for name in overview.guides if name in one.ratios):
        x, y = one.steps(guide)
        style = overview.styles[guide]
        x = np.concatenate([[start], x, [end]])
        y = np.concatenate([[0.0], y, [y[-1] if len(y) else 0.0]])
        shown = np.clip(x, start, end)
        ax.plot(shown, y, drawstyle="steps-post", color=style.colour, linestyle=style.dashes, linewidth=1.7)
    if ratio:
        ax.set_xscale("log")
        ticks = [float(tick) for tick in (1, 2, 3, 5, 10, 30, 100, 1000, 10_000) if tick <= end]
        ticks = ticks if len(ticks) <= 6 else [tick for tick in ticks if math.log10(tick) % 1 == 0]
    else:
        ax.set_xscale("symlog", linthresh=LINEAR, linscale=0.4)
        ticks = [0.0, *(10.0**power for power in range(-2, 5) if 10.0**power <= end)]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    ax.set(xlim=(start, end), ylim=(0, 1.03), title=f"{measure.title} ({one.problems} problems)")
    ax.set_xlabel("factor behind the best" if ratio else f"behind the best ({measure.unit})")
    ax.grid(axis="y")


def remarks(made: list[tuple[Measure, Profile]]) -> list[str]:
    """Return who failed, who is not in it, and what a profile does not say."""
    texts = []
    for measure, one in made:
        failed = [f"{guide} ({count})" for guide, count in one.failures.items()]
        absent = f" Not defined for {listed(one.left_out)}." if one.left_out else ""
        if failed:
            texts.append(f"{measure.title}: no value, counted as infinitely bad, of {listed(failed)}.{absent}")
        elif absent:
            texts.append(f"{measure.title}:{absent}")
    texts.append(
        "With more than two guides a profile shows who is best, not who is second: without the best one the order of "
        "the others may change (Gould & Scott 2016, doi:10.1145/2950048). Profiles: Dolan & Moré (2002), "
        "doi:10.1007/s101070100263."
    )
    return texts
