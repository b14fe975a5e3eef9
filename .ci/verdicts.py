"""Write ``docs/verdicts.md``: what guidebench said of every guide in a saved run, beside what is true.

Run it with the folder of a run over problems that have reference draws::

    python .ci/verdicts.py reports/25-problems-* bed/bed.json

The second file, where given, is what ``.ci/bed.py`` found on the test bed.  ``tox -e verdicts`` makes both runs first.
With ``-`` in the place of the folder, only the part on the test bed is written anew.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

# Last, so that an installed guidebench comes before the folder beside this one.
sys.path.append(str(Path(__file__).resolve().parent.parent))

from guidebench import load
from guidebench.analysis.limits import MEAN_ERROR, SD_ERROR
from guidebench.analysis.problems.soundness import Judged, Off, counts, judged
from guidebench.results import Comparison, Status, Verdict
from tests.numerics.bed import tables
from tests.numerics.bed.catalogue import problems

PAGE = Path(__file__).resolve().parent.parent / "docs" / "verdicts.md"

INTRO = f"""\
# Are the verdicts right?

<!-- Written by .ci/verdicts.py from a run; `tox -e verdicts` makes the run and writes this page. -->

guidebench tells you how far to trust a guide. This page holds what it said against posteriors that are known: those of
[posteriordb](../plugins/guidebench-posteriordb/README.md), each with 10,000 reference draws.

- Draws are **right** where every mean is within {MEAN_ERROR:g} posterior sds of the reference and every sd within
  {SD_ERROR:.0%}; **repairable** where they are so once reweighted or refreshed; **wrong** otherwise.
- With a reference at hand the verdict looks at it, and nothing that is wrong by it is trusted: to check that would
  prove nothing. So each verdict here is the one **without the reference**, from the guide's weights, the modes and the
  chains from its draws. On a posterior that nobody knows a mixture about what the search found comes before these
  where it passes its checks: the test bed below is judged so.
- A `trust` is sound where the draws are right, a `reweight` where they are right once reweighted, a `refresh` where
  those of its chains are. `distrust` claims nothing: where the draws were right after all it was too careful.
"""

BED = """\
# The test bed

Problems built to be hard, in `tests/numerics/bed`, each with an answer by algebra, enumeration or quadrature that
guidebench is not given. Here the verdict is the one that a run shows. `right` counts how often the draws that a word
vouches for are right: those of the guide, reweighted or refreshed; on an improper posterior none are. *Right and
kept* are draws of a guide that are right and not distrusted; *end right* are proper problems where some guide is
vouched for, rightly. What is *held out* was tuned on by nobody, but for `banana-in-ten`, which was looked at when
mixtures learnt to grow and to ask those for confirmation, and `rates-under-one-50`, of which guides were trusted whose
sds are 19 % (seed 0) and 16 % (seed 2) off before noise excused less. Seeds are those of training and judging: the data
of a problem stay the same.
"""


def _lines(comparison: Comparison, bed: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    fits = judged(comparison)
    yield INTRO
    yield from _counts(fits)
    yield from _misses(fits)
    yield from _every(comparison, fits)
    yield from _run(comparison)
    yield from _of_bed(bed)


def _of_bed(bed: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if bed:
        yield f"\n{BED}"
        missing = [one for name, one in problems().items() if name not in {record["name"] for record in bed}]
        if missing:
            kinds = ", ".join(dict.fromkeys(one.kind for one in missing))
            yield f"{len(missing)} of its {len(problems())} problems ({kinds}) are not in this run.\n"
        yield from tables.lines(bed)


def _counts(fits: Sequence[Judged]) -> Iterator[str]:
    problems = len({one.fit.problem for one in fits})
    yield f"## {len(fits)} fits on {problems} posteriors\n"
    yield "| verdict | right | repairable | wrong |\n|---|---|---|---|"
    for verdict, found in counts(fits).items():
        yield f"| `{verdict}` | {found['right']} | {found['repairable']} | {found['wrong']} |"
    right = [one for one in fits if one.right]
    kept = [one for one in right if not one.timid]
    trusted = [one for one in fits if one.blind is Verdict.TRUST]
    reweighted = [one for one in fits if one.blind is Verdict.REWEIGHT]
    refreshed = [one for one in fits if one.blind is Verdict.REFRESH]
    yield (
        f"\nOf {len(trusted)} fits that are trusted, {sum(one.right for one in trusted)} are right. "
        f"Of {len(reweighted)} to be reweighted, {sum(one.sound for one in reweighted)} are right once they are. "
        f"Of {len(refreshed)} to be refreshed, {sum(one.sound for one in refreshed)} are right once they are. "
        f"Of {len(right)} that are right, {len(kept)} ({len(kept) / max(len(right), 1):.0%}) are called `trust`, "
        "`reweight` or `refresh`.\n"
    )


def _misses(fits: Sequence[Judged]) -> Iterator[str]:
    rows = [(one, "too careful" if one.sound else "wrong") for one in fits if one.timid or not one.sound]
    yield "## Where it was wrong, or too careful\n"
    if not rows:
        yield "Nowhere.\n"
        return
    columns = ("posterior", "guide", "verdict", "raw", "reweighted", "refreshed", "KL (nat)", "k-hat", "")
    yield f"| {' | '.join(columns)} |\n" + "|---" * len(columns) + "|"
    for one, what in rows:
        kl, khat = (one.fit.value(name) for name in ("smoothed_kl", "khat"))
        cells = [_short(one.fit.problem), one.fit.guide, f"`{one.blind}`"]
        cells += [_errors(found) for found in (one.raw, one.reweighted, one.refreshed)]
        yield f"| {' | '.join([*cells, f'{kl or 0:.3f}', f'{khat or 0:.2f}', what])} |"
    yield ""


def _every(comparison: Comparison, fits: Sequence[Judged]) -> Iterator[str]:
    by_fit = {(one.fit.problem, one.fit.guide): one for one in fits}
    guides = list(dict.fromkeys(one.fit.guide for one in fits))
    yield "## Every fit\n"
    yield (
        "The largest error of a mean, in posterior sds, and of an sd, as a share; in bold where they are right. A "
        "dagger marks training that did not settle. AutoDelta, a point, has no intervals to be right or wrong about.\n"
    )
    yield "| posterior | " + " | ".join(guides) + " |\n" + "|---" * (len(guides) + 1) + "|"
    for problem in comparison.problems:
        cells = [_cell(by_fit.get((problem.name, guide))) for guide in guides]
        yield f"| {_short(problem.name)} | " + " | ".join(cells) + " |"
    yield ""


def _cell(one: Judged | None) -> str:
    if one is None:
        return "–"
    errors = _errors(one.raw)
    mark = "" if one.fit.status is Status.CONVERGED else " †"
    return f"`{one.blind}` {f'**{errors}**' if one.right else errors}{mark}"


def _errors(found: Off | None) -> str:
    return "–" if found is None else f"{_number(found.mean)}, {_share(found.sd)}"


def _number(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.2g}" if value < 1e3 else "> 1,000"


def _share(value: float) -> str:
    return f"{value:.0%}" if value < 10 else "> 1,000 %"


def _run(comparison: Comparison) -> Iterator[str]:
    settled = sum(fit.status is Status.CONVERGED for fit in comparison)
    drawn = sum(fit.status.has_draws for fit in comparison)
    versions = ", ".join(
        f"{name} {comparison.environment[name]}"
        for name in ("guidebench", "python", "jax", "numpyro", "optax")
        if name in comparison.environment
    )
    yield "## The run\n"
    yield f"    guidebench run 'posteriordb/*' -g default --seed {comparison.config['seed']}\n"
    yield f"{comparison.recipe}\n"
    yield f"{settled} of {drawn} fits converged. Made with {versions}."


def _short(problem: str) -> str:
    return problem.rpartition("/")[2]


def main() -> None:
    """Write the page."""
    folder, *found = sys.argv[1:]
    bed = json.loads(Path(found[0]).read_text(encoding="utf-8")) if found else []
    if folder == "-":
        before = PAGE.read_text(encoding="utf-8").partition(BED.partition("\n")[0])[0].rstrip("\n")
        lines = [before, *_of_bed(bed)]
    else:
        lines = list(_lines(load(folder), bed))
    PAGE.write_text("\n".join(lines).rstrip("\n") + "\n", encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
