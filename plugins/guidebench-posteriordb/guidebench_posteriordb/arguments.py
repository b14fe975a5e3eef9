"""From the data of the database to the arguments of the models, all in float64."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

#: The data of the database, and the arguments of a model.
Data = Mapping[str, Any]
Arguments = dict[str, Any]


def _column(data: Data, name: str) -> np.ndarray:
    return np.asarray(data[name], np.float64)


def _design(*columns: np.ndarray) -> np.ndarray:
    """Return a design matrix: ones, then the columns."""
    return np.column_stack([np.ones(len(columns[0])), *columns])


def chosen(*names: str) -> Callable[[Data], Arguments]:
    """Return a function that takes arrays under their own names."""
    return lambda data: {name: _column(data, name) for name in names}


def regression(data: Data) -> Arguments:
    """Return a design matrix as it is given."""
    return {"design": _column(data, "X"), "y": _column(data, "y")}


def autoregression(data: Data) -> Arguments:
    """Return the values that have K others before them, and these."""
    y, order = _column(data, "y"), int(data["K"])
    lags = [y[order - lag : len(y) - lag] for lag in range(1, order + 1)]
    return {"lags": np.column_stack(lags), "y": y[order:]}


def schools(data: Data) -> Arguments:
    """Return effects and their standard errors."""
    return {"sigma": _column(data, "sigma"), "y": _column(data, "y")}


def earnings(logarithm: Callable[[Any], Any]) -> Callable[[Data], Arguments]:
    """Return a function that takes earnings under a logarithm, and heights."""
    return lambda data: {"design": _design(_column(data, "height")), "y": logarithm(_column(data, "earn"))}


def earnings_by_sex(data: Data) -> Arguments:
    """Return log earnings on height, sex and their product."""
    return _by_sex(data, _column(data, "height"))


def earnings_by_sex_standardised(data: Data) -> Arguments:
    """Return log earnings on standardised height, sex and their product."""
    height = _column(data, "height")
    return _by_sex(data, (height - height.mean()) / height.std(ddof=1))


def _by_sex(data: Data, height: np.ndarray) -> Arguments:
    male = _column(data, "male")
    return {"design": _design(height, male, height * male), "y": np.log(_column(data, "earn"))}


def kids(*predictors: str) -> Callable[[Data], Arguments]:
    """Return a function that takes test scores and predictors, of which ``a:b`` is the product of two."""

    def made(data: Data) -> Arguments:
        columns = [np.prod([_column(data, part) for part in name.split(":")], axis=0) for name in predictors]
        return {"design": _design(*columns), "y": _column(data, "kid_score")}

    return made


def kids_by_work(data: Data) -> Arguments:
    """Return test scores on indicators of the second, third and fourth kind of work."""
    work = _column(data, "mom_work")
    return {"design": _design(*((work == kind).astype(float) for kind in (2, 3, 4))), "y": _column(data, "kid_score")}


def kids_centred(data: Data) -> Arguments:
    """Return test scores on schooling and IQ less their means, and the product."""
    school, iq = (_column(data, name) - _column(data, name).mean() for name in ("mom_hs", "mom_iq"))
    return {"design": _design(school, iq, school * iq), "y": _column(data, "kid_score")}


def mixture(data: Data) -> Arguments:
    """Return a series with its length, which a model that is to predict has to be told."""
    y = _column(data, "y")
    return {"size": len(y), "y": y}


MESQUITE = ("diam1", "diam2", "canopy_height", "total_height", "density")


def mesquite(data: Data) -> Arguments:
    """Return weights and measures."""
    columns = [_column(data, name) for name in (*MESQUITE, "group")]
    return {"design": _design(*columns), "y": _column(data, "weight")}


def mesquite_in_logs(data: Data) -> Arguments:
    """Return logarithms of all but the group."""
    columns = [*(np.log(_column(data, name)) for name in MESQUITE), _column(data, "group")]
    return {"design": _design(*columns), "y": np.log(_column(data, "weight"))}


def mesquite_volume(data: Data) -> Arguments:
    """Return log weights and log volumes of the canopy."""
    volume = np.prod([_column(data, name) for name in ("diam1", "diam2", "canopy_height")], axis=0)
    return {"design": _design(np.log(volume)), "y": np.log(_column(data, "weight"))}


def elections(data: Data) -> Arguments:
    """Return party identification on ideology, race, three age groups, education, gender and income."""
    age = _column(data, "age_discrete")
    columns = [
        *(_column(data, name) for name in ("real_ideo", "race_adj")),
        *((age == group).astype(float) for group in (2, 3, 4)),
        *(_column(data, name) for name in ("educ1", "gender", "income")),
    ]
    return {"design": _design(*columns), "y": _column(data, "partyid7")}


def diamonds(data: Data) -> Arguments:
    """Return log prices and predictors less their means, without the column of ones."""
    predictors = _column(data, "X")[:, 1:]
    return {"design": predictors - predictors.mean(axis=0), "y": _column(data, "Y")}


def populations(data: Data) -> Arguments:
    """Return counts of the first year and of the others, which are one unit of time apart."""
    times = _column(data, "ts")
    if not np.array_equal(times, np.arange(1, len(times) + 1)):
        raise ValueError(f"the times of the counts should be 1, 2, ..., not {times.tolist()}")
    return {"years": len(times), "y_init": _column(data, "y_init"), "y": _column(data, "y")}


def drives(data: Data) -> Arguments:
    """Return both observations of each drive as columns, and the prior of the transitions."""
    y = np.column_stack([_column(data, "u"), _column(data, "v")])
    return {"size": len(y), "alpha": _column(data, "alpha"), "y": y}
