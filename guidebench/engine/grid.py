"""A run: every guide on every problem."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from guidebench.config import REFERENCES, RunConfig
from guidebench.config.errors import RequestError
from guidebench.contracts import Problem
from guidebench.engine.job import Job, Request
from guidebench.engine.keep import Keep
from guidebench.engine.keys import environment
from guidebench.engine.keys.maker import KeyMaker
from guidebench.engine.own import own_guides
from guidebench.engine.progress import Progress, Silent
from guidebench.engine.recipe import recipe_of
from guidebench.inference.device import precision
from guidebench.plugins.isolation.state import restored
from guidebench.plugins.registry import Registry
from guidebench.request.declared import quantities
from guidebench.request.selection import ChosenGuide
from guidebench.results import Comparison

#: After so many problems their programs are released.  They take about 30 MB a fit; tracing anew what problems share
#: takes one to two seconds, so not after each.
RELEASE = 5


def compare(
    name: str,
    problems: Sequence[Problem],
    guides: Sequence[ChosenGuide],
    config: RunConfig,
    registry: Registry,
    progress: Progress | None = None,
    given: Mapping[str, Any] | None = None,
    keep: Keep | None = None,
) -> Comparison:
    """Train every guide on every problem and score them all, one problem after the other.

    Parameters
    ----------
    name : str
        What the comparison is called.
    problems, guides : sequences
        The grid.
    config : RunConfig
        Recipe, seeds and numbers of draws.
    registry : Registry
        Brings the metrics.
    progress : Progress, optional
        Is told what happens.
    given : mapping, optional
        Draws by site that take the place of the reference that `config` names.
    keep : Keep, optional
        Where finished fits are kept, and those of an earlier run found.

    Raises
    ------
    RequestError
        Where the request is wrong; what goes wrong inside a fit is recorded in it instead.
    """
    with restored(), precision.chosen(config.x64), warnings.catch_warnings():
        # NumPyro says so for every program that it traces; the report says it once.
        warnings.filterwarnings("ignore", message="Continuous inference poorly handles circular")
        return _compare(name, problems, guides, config, registry, progress or Silent(), given, keep)


def _compare(
    name: str,
    problems: Sequence[Problem],
    guides: Sequence[ChosenGuide],
    config: RunConfig,
    registry: Registry,
    watcher: Progress,
    given: Mapping[str, Any] | None,
    keep: Keep | None,
) -> Comparison:
    alone = len(problems) == 1
    request = Request(config, recipe_of(config), registry.metrics, given, alone)
    _check_reference(config, given)
    if alone:  # with several, a guide that does not fit one of them says so in its row
        with restored():
            guides = own_guides(guides, problems[0], config)
    jobs = [Job(problem=problem, guides=tuple(guides)) for problem in problems]
    watcher.begin(len(jobs) * len(guides), len(jobs))
    interrupted = False
    try:
        if keep is not None:
            maker = KeyMaker(config, registry.metrics, given)
            for job in jobs:
                job.look_up(maker, keep)
                for fit in job.in_order():
                    watcher.finish(fit, kept=True)
        made = 0
        for number, job in enumerate(jobs, 1):
            if not job.done:
                watcher.problem(number, job.problem.name)
                job.run(request, keep, watcher)
                made += 1
                if made % RELEASE == 0:
                    _release()
    except KeyboardInterrupt:
        interrupted = True
        if not any(job.fits for job in jobs):
            raise
    begun = [job for job in jobs if job.fits or not interrupted]
    described = {job.problem.name: job.described() for job in begun}
    return Comparison(
        name=name,
        problems=tuple(found.record for found in described.values()),
        fits=tuple(fit for job in begun for fit in job.in_order()),
        recipe=request.recipe.describe(),
        config=config.saved(),
        environment=environment.describe(),
        references={name: found.reference for name, found in described.items() if found.reference is not None},
        interrupted=interrupted,
        kept=sum(job.kept for job in jobs),
        failures=tuple(one.failure() for one in registry.broken),
        quantities=quantities(registry),
    )


def _release() -> None:
    """Let go of what JAX holds of the programs of problems that are done."""
    jax.clear_caches()
    gc.collect()


def _check_reference(config: RunConfig, given: Mapping[str, Any] | None) -> None:
    """Refuse the name of a file that is not there, before anything takes long."""
    if given is None and config.reference not in REFERENCES and not Path(config.reference).is_file():
        raise RequestError("there is no such file", option="reference", value=Path(config.reference))
