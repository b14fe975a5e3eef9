"""What ``results.json`` says beside the records of a run: what to conclude, and every setting as it took effect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pydantic import ValidationError

from guidebench.analysis.answer import answer
from guidebench.config import RunConfig
from guidebench.config.errors import RequestError
from guidebench.results import Comparison


def told(comparison: Comparison) -> dict[str, Any]:
    """Return the recommendation for each problem, and the settings of the run.

    Returns
    -------
    dict
        ``recommendation``: for each problem the fields of :class:`~guidebench.analysis.answer.Answer`.  ``settings``:
        the options of the run, each with the value that it had, those of the recipe among them; nothing where the
        configuration is none of a run.
    """
    found = [answer(comparison.of(record.name), record) for record in comparison.problems]
    return {"recommendation": [asdict(one) for one in found], "settings": settings(comparison.config)}


def settings(saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return a saved configuration with what the recipe decides filled in."""
    if not saved:
        return {}  # which needs no JAX
    from guidebench.engine.recipe import recipe_of

    try:
        config = RunConfig(**saved)
        recipe = recipe_of(config)
    except (ValidationError, RequestError, TypeError):
        return {}
    own = {name: value for name, value in vars(recipe).items() if name not in ("name", "schedule")}
    # The fields of a recipe are those of the options that change them, and more.
    return {**saved, **own, "recipe": recipe.name, "schedule": str(recipe.schedule)}
