"""Reference draws: from the names of the database to the latent sites of a model."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from guidebench import ReferenceDraws, RequestError
from guidebench_posteriordb.database import Database

_NAME = re.compile(r"(?P<site>[A-Za-z_]\w*)(?:\[(?P<index>\d+(?:,\d+)*)\])?")


def reference(
    database: Database, name: str, sites: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]
) -> ReferenceDraws:
    """Return the reference draws of a posterior by latent site.

    Parameters
    ----------
    database : Database
        Where they lie.
    name : str
        Of the posterior.
    sites : callable
        From arrays by the database's names, each of shape ``(chains, draws, ...)``, to the model's sites.

    Raises
    ------
    RequestError
        Where there are none, or they cannot be read.
    """
    chains, divergences = database.draws(name)
    try:
        return ReferenceDraws(chains=sites(gathered(chains)), divergences=divergences, label="posteriordb")
    except (KeyError, ValueError) as error:
        raise RequestError(f"the reference draws of {name} are not as expected: {error}") from None


def gathered(chains: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Return draws of ``beta[1]``, ``beta[2]``, ... as one array ``beta``, of shape ``(chains, draws, ...)``.

    Indices begin at 1 and leave nothing out.
    """
    by_site: dict[str, dict[tuple[int, ...], np.ndarray]] = {}
    for name in chains[0]:
        found = _NAME.fullmatch(name)
        if found is None:
            raise ValueError(f"{name!r} is no name of a parameter")
        index = tuple(int(part) for part in (found["index"] or "").split(",") if part)
        values = np.asarray([chain[name] for chain in chains], np.float64)
        by_site.setdefault(found["site"], {})[index] = values
    return {site: _stacked(site, parts) for site, parts in by_site.items()}


def _stacked(site: str, parts: Mapping[tuple[int, ...], np.ndarray]) -> np.ndarray:
    shape = tuple(np.max(list(parts), axis=0)) if () not in parts else ()
    wanted = [tuple(np.add(index, 1).tolist()) for index in np.ndindex(*shape)]
    if set(wanted) != set(parts):
        raise ValueError(f"{site} has the indices {sorted(parts)}")
    values = np.stack([parts[index] for index in wanted], axis=-1)
    return values.reshape(*values.shape[:2], *shape)


def as_they_are(draws: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the draws of a model whose sites have the database's names."""
    return draws


def standardised_effects(draws: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return what the non-centred model of the eight schools samples: theta_trans = (theta - mu) / tau."""
    mu, tau, theta = draws["mu"], draws["tau"], draws["theta"]
    return {"mu": mu, "tau": tau, "theta_trans": (theta - mu[..., None]) / tau[..., None]}
