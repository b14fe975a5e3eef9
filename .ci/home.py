"""Measure what draws of the posterior database cost: by ``gb.posterior``, by NUTS, and by NUTS from a guide.

    python .ci/home.py measure home.jsonl 'posteriordb/*'     # GUIDEBENCH_POSTERIORDB says where the database is
    python .ci/home.py write home.jsonl                       # the tables of docs/take-it-home.md

A posterior is measured in a process of its own, and what is in the file is not measured again.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

# Last, so that an installed guidebench comes before the folder beside this one.
sys.path.append(str(Path(__file__).resolve().parent.parent))

import guidebench as gb
from guidebench.analysis.limits import MEAN_ERROR, SD_ERROR
from guidebench.config import make_config
from guidebench.contracts import Problem
from guidebench.request.find_plugins import find_plugins
from guidebench.request.selection import choose_problems

PAGE = Path(__file__).resolve().parent.parent / "docs" / "take-it-home.md"

#: Seconds after which one measurement is given up.
LIMIT = 1_200

#: Chains, and the steps of warm-up and sampling of NUTS as it is usually run.
CHAINS, WARMUP, DRAWS = 4, 1_000, 1_000

#: Steps between two looks at chains, and steps of sampling at most.
BLOCK, MOST = 50, 2_000

#: What chains are run for: what a reference has to reach, too.
RHAT, ESS = 1.01, 400

GUIDE = "auto_multivariate_normal"


class Run(NamedTuple):
    """NUTS until its draws did: gradients of warm-up and of sampling, draws of each chain, and what they came to."""

    warmup: int
    sampling: int
    draws: int
    rhat: float
    ess: float

    @property
    def reached(self) -> bool:
        """Whether the draws are what chains are run for."""
        return self.rhat < RHAT and self.ess > ESS

    @property
    def gradients(self) -> int:
        """All of them."""
        return self.warmup + self.sampling

    @property
    def usual(self) -> float:
        """Gradients of as many draws as usual."""
        return self.warmup + self.sampling / self.draws * DRAWS


def short_way(name: str) -> dict[str, Any]:
    """Measure ``gb.posterior``."""
    problem, began = _problem(name), time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that there are none
        found = gb.posterior(problem.model, *problem.args, **problem.kwargs, progress=False)
    seconds = time.perf_counter() - began
    if found is None:
        return {"seconds": seconds}
    told = found["posterior"].attrs
    kept = {key: str(told[key]) for key in ("source", "won")} | {
        key: int(told[key]) for key in ("gradients", "densities")
    }
    return {**kept, "seconds": seconds, "errors": errors(found["posterior"], problem)}


def errors(posterior: Any, problem: Problem) -> tuple[float, float]:
    """Return the largest error of a mean, in sds, and of an sd, as a share, against the reference draws."""
    import numpy as np

    assert problem.reference_draws is not None
    worst = [0.0, 0.0]
    for name, chains in problem.reference_draws().chains.items():
        truth, drawn = (np.asarray(one, np.float64) for one in (chains, posterior[name].to_numpy()))
        sd = truth.std(axis=(0, 1))
        worst[0] = max(worst[0], float(np.max(np.abs(drawn.mean(axis=(0, 1)) - truth.mean(axis=(0, 1))) / sd)))
        worst[1] = max(worst[1], float(np.max(np.abs(drawn.std(axis=(0, 1)) / sd - 1))))
    return worst[0], worst[1]


def usual(name: str) -> dict[str, Any]:
    """Measure the time of NumPyro's NUTS as it is usually run, chains side by side and one after the other."""
    import jax
    from numpyro.infer import MCMC, NUTS

    problem, seconds = _problem(name), {}
    for method in ("vectorized", "sequential"):
        jax.clear_caches()
        began = time.perf_counter()
        sampler = MCMC(
            NUTS(problem.model),
            num_warmup=WARMUP,
            num_samples=DRAWS,
            num_chains=CHAINS,
            chain_method=method,
            progress_bar=False,
        )
        sampler.run(jax.random.key(0), *problem.args, **problem.kwargs)
        jax.block_until_ready(sampler.get_samples())
        seconds[method] = time.perf_counter() - began
    return {"seconds": min(seconds.values()), **seconds}


def from_guide(name: str) -> dict[str, Any]:
    """Measure NUTS from a guide."""
    fit = gb.compare(name, guides=GUIDE, reference="none", progress=False)[GUIDE]
    start = fit.nuts_start(CHAINS)
    return {
        "verdict": str(fit.verdict),
        "training": sum(one.gradients for one in fit.work.values()),
        **nuts(_problem(name), start.num_warmup, start.init_params, **start.kernel)._asdict(),
    }


def from_nowhere(name: str) -> dict[str, Any]:
    """Measure NUTS as NumPyro starts it."""
    return nuts(_problem(name), WARMUP)._asdict()


def _problem(name: str) -> Problem:
    (found,) = choose_problems(find_plugins((), running=True), (name,), make_config({"problems": (name,)}))
    return found


def nuts(problem: Problem, warmup: int, init: Mapping[str, Any] | None = None, **kernel: Any) -> Run:
    """Run NumPyro's NUTS in float64 until R-hat is below 1.01 and bulk and tail ESS are above 400."""
    import jax
    import numpy as np
    from numpyro.infer import NUTS

    from guidebench.engine.gate import judge
    from guidebench.inference.device.precision import double

    with double():
        sampler = NUTS(problem.model, **kernel)
        keys = jax.random.split(jax.random.key(0), CHAINS)
        begun = None if init is None else jax.tree.map(jax.numpy.asarray, dict(init))
        state = sampler.init(keys, warmup, begun, problem.args, dict(problem.kwargs))

        def step(state: Any, _: None) -> tuple[Any, Any]:
            state = sampler.sample(state, problem.args, dict(problem.kwargs))
            return state, (state.z, state.num_steps)

        @partial(jax.jit, static_argnums=1)
        def advance(state: Any, many: int) -> Any:
            return jax.lax.scan(step, state, None, length=many)

        spent = [0, 0]
        for left in range(warmup, 0, -BLOCK):
            state, (_, steps) = advance(state, min(left, BLOCK))
            spent[0] += int(steps.sum())
        drawn: list[Any] = []
        while len(drawn) * BLOCK < MOST:
            state, (z, steps) = advance(state, BLOCK)
            spent[1] += int(steps.sum())
            drawn.append(jax.device_get(z))
            chains = {key: np.swapaxes(np.concatenate([one[key] for one in drawn]), 0, 1) for key in drawn[0]}
            checks = judge(chains, None).checks
            rhat, ess = checks.get("rhat", np.nan), min(checks.get(f"ess_{kind}", 0.0) for kind in ("bulk", "tail"))
            found = Run(*spent, len(drawn) * BLOCK, float(rhat), float(ess))
            if found.reached:
                break
    return found


MEASURED = {"posterior": short_way, "usual": usual, "guide": from_guide, "nowhere": from_nowhere}


def measure(file: Path, patterns: Sequence[str]) -> None:
    """Measure what is not in the file yet."""
    known = {(one["problem"], one["what"]) for one in _read(file)} if file.exists() else set()
    names = [one.name for one in find_plugins(()).problems if any(fnmatch(one.name, pattern) for pattern in patterns)]
    for what in MEASURED:
        for name in names:
            if (name, what) in known:
                continue
            try:
                command = [sys.executable, __file__, what, name]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=LIMIT)
            except subprocess.SubprocessError as error:
                print(f"{what} of {name}: {error}", file=sys.stderr)
                continue
            with file.open("a") as lines:
                lines.write(done.stdout.splitlines()[-1] + "\n")


def _read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def write(lines: Sequence[dict[str, Any]]) -> None:
    """Write the tables between the marks of the page."""
    by_name: dict[str, dict[str, Mapping[str, Any]]] = {}
    for one in lines:
        by_name.setdefault(one["problem"].rpartition("/")[2], {})[one["what"]] = one
    text = PAGE.read_text(encoding="utf-8")
    for mark, table in (("posterior", _of_short_way(by_name)), ("nuts", _of_starts(by_name))):
        begin, end = f"<!-- {mark}: written by .ci/home.py -->", f"<!-- end of {mark} -->"
        before, _, rest = text.partition(begin)
        text = "\n".join([f"{before}{begin}\n", *table, f"\n{end}{rest.partition(end)[2]}"])
    PAGE.write_text(text, encoding="utf-8")


def _run(one: Mapping[str, Any] | None) -> Run | None:
    return None if one is None else Run(**{name: one[name] for name in Run._fields})


def _of_short_way(found: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Iterator[str]:
    measured = {name: one["posterior"] for name, one in found.items() if "posterior" in one}
    won = {name: one for name, one in measured.items() if "errors" in one}
    right = [one for one in won.values() if one["errors"][0] <= MEAN_ERROR and one["errors"][1] <= SD_ERROR]
    yield f"{len(measured)} posteriors: draws of {len(won)}, right on {len(right)} of these. Gradients beside those of"
    shares, times, rows = [], [], []
    for name, one in measured.items():
        nuts, usually = _run(found[name].get("nowhere")), found[name].get("usual")
        timed = one["seconds"] / usually["seconds"] if usually is not None and "errors" in one else None
        times += [] if timed is None else [timed]
        took = f"{one['seconds']:.1f} | " + ("" if usually is None else f"{usually['seconds']:.1f}")
        share = one["gradients"] / nuts.usual if nuts is not None and "errors" in one else None
        shares += [] if share is None else [share]
        beside = "" if share is None else f"{share:.0%}"
        if "errors" in one:
            mean, sd = one["errors"]
            by = one["won"].partition("won ")[2].partition(",")[0].partition(" at ")[0]
            cost = f"{one['gradients']:,} | {one['densities']:,}"
            rows.append(f"| {name} | {by} | {cost} | {beside} | {took} | {mean:.3f} | {sd:.1%} |")
        else:
            rows.append(f"| {name} | none | | | | {took} | | |")
    yield f"NUTS, 4 x (1,000 + 1,000) in its default settings: {_median(shares)}. Seconds, each in a process of its own"
    yield "that compiles everything, beside the same run of NUTS, chains side by side or one after the other, whichever"
    yield f"is quicker: {_median(times)}.\n"
    yield "| posterior | won | gradients | densities | of NUTS's | seconds | NUTS's | error of a mean, sds | of an sd |"
    yield "|---|---|---|---|---|---|---|---|---|"
    yield from rows


def _median(shares: Sequence[float]) -> str:
    return f"median {median(shares):.0%} over {len(shares)}" if shares else "not measured"


def _of_starts(found: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Iterator[str]:
    both = {name: (one["nowhere"], one["guide"]) for name, one in found.items() if {"nowhere", "guide"} <= set(one)}
    shares, rows = [], []
    for name, (cold, warm) in both.items():
        before, after = Run(**{key: cold[key] for key in Run._fields}), Run(**{key: warm[key] for key in Run._fields})
        share = f"{after.gradients / before.gradients:.0%}" if before.reached and after.reached else "not reached"
        shares += [after.gradients / before.gradients] if before.reached and after.reached else []
        cells = [f"{one.warmup:,} + {one.sampling:,}" for one in (before, after)]
        rows.append(f"| {name} | {cells[0]} | {cells[1]} | {share} | {warm['training']:,} | {warm['verdict']} |")
    limits = f"R-hat is below {RHAT} and bulk and tail ESS are above {ESS}"
    yield f"Gradients, warm-up + sampling, until {limits}: {_median(shares)}.\n"
    yield "| posterior | cold start | from the guide | share | the guide's own | its verdict |"
    yield "|---|---|---|---|---|---|"
    yield from rows


def main(what: str, first: str, *more: str) -> None:
    """Do what the command line says."""
    if what in MEASURED:
        print(json.dumps({"what": what, "problem": first, **MEASURED[what](first)}))
    elif what == "measure":
        measure(Path(first), more or ("posteriordb/*",))
    else:
        write(_read(Path(first)))


if __name__ == "__main__":
    main(*sys.argv[1:])
