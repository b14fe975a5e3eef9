"""The commands that put a run to use: predictions for new rows, and its guide held against new data."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from guidebench.config.errors import RequestError

if TYPE_CHECKING:
    from guidebench.engine.predicting import Predicted

RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="A folder that 'guidebench run' wrote.")]
DataOption = Annotated[
    str, typer.Option("--data", metavar="FILE", help="The new rows: .csv, .npz, .json or .nc, named as in training.")
]
GuideOption = Annotated[
    str | None, typer.Option("-g", "--guide", metavar="NAME", help="A guide of the run (default: the recommended one).")
]
ProblemOption = Annotated[
    str | None, typer.Option("--problem", metavar="NAME", help="Which problem of the run, where it had several.")
]
SeedOption = Annotated[int, typer.Option("--seed", metavar="N", help="Of the random draws.")]

#: Rows of the table that are printed where they are not written.
SHOWN = 10


def predict(
    run: RunArgument,
    data: DataOption,
    guide: GuideOption = None,
    problem: ProblemOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.csv|.nc", help="Where to write the predictions.")
    ] = None,
    draws: Annotated[
        int, typer.Option("--draws", metavar="N", min=2, help="Draws of the posterior to use, at most.")
    ] = 1000,
    seed: SeedOption = 0,
) -> int:
    """Predict new rows: mean, sd and quantiles of every observed and deterministic site; scored where observed.

    The draws are those that the run can stand behind, repaired or weighted where the verdict says so.
    """
    if out is not None and out.suffix.lower() not in (".csv", ".nc"):
        raise RequestError("should end in .csv or .nc", option="out", value=out)
    from guidebench.api.of_run import OfRun
    from guidebench.inference.device import cache, threads

    threads.enough()
    cache.enable()
    found = OfRun.read(run, problem)
    chosen = found.draws(guide)
    if chosen.warning:
        print(f"guidebench: {chosen.warning}", file=sys.stderr)
    predicted = found.predict(chosen, data, most=draws, seed=seed)
    print(f"{predicted.rows:,} rows predicted with {predicted.draws:,} draws of {chosen.label}.")
    for line in _told(predicted):
        print(line)
    if out is None:
        _show(predicted)
    else:
        _write(predicted, out)
        print(out)
    return 0


def _told(predicted: Predicted) -> list[str]:
    """Return in words how well observations were predicted, and what is the same for all rows."""
    lines = []
    for name, (value, error) in predicted.scores.items():
        if name.startswith("coverage_"):
            lines.append(f"{value:.1%} ± {error:.1%} of them inside the {name[9:]} % intervals")
        elif name == "crps":
            lines.append(f"CRPS {value:.4g} ± {error:.2g}")
        else:
            lines.append(f"log density {value:.4f} ± {error:.4f} nat per observation")
    return lines


def _columns(predicted: Predicted, names: tuple[str, ...]) -> dict[str, Any]:
    """Return the columns of a table by name: ``SITE.mean``, or ``SITE[i].mean`` of sites with more axes."""
    from guidebench.engine.predicting import COLUMNS
    from guidebench.metrics.evidence import labels

    found = {}
    for name in names:
        values = predicted.sites[name]
        flat = values.reshape(len(COLUMNS), values.shape[1], -1)
        for at, label in enumerate(labels(name, values.shape[2:])):
            for part, column in enumerate(COLUMNS):
                found[f"{label}.{column}"] = flat[part, :, at]
    return found


def _show(predicted: Predicted) -> None:
    import pandas as pd

    table = pd.DataFrame(_columns(predicted, predicted.by_row))
    print(table.head(SHOWN).to_string(float_format=lambda value: f"{value:.4g}"))
    if len(table) > SHOWN:
        print(f"... and {len(table) - SHOWN:,} rows more; --out FILE.csv writes all of them")


def _write(predicted: Predicted, path: Path) -> None:
    """Write the summaries: of the rows as a table, or of all sites as NetCDF."""
    import pandas as pd
    import xarray as xr

    from guidebench.engine.predicting import COLUMNS
    from guidebench.results.files import put
    from guidebench.results.inference_data import ENGINE

    try:
        if path.suffix.lower() == ".csv":
            table = pd.DataFrame(_columns(predicted, predicted.by_row))
            put(path, table.to_csv(index=False).encode("utf-8"))
            return
        variables = {name: (_dims(predicted, name), value) for name, value in predicted.sites.items()}
        dataset = xr.Dataset(variables, coords={"statistic": list(COLUMNS)})
        put(path, bytes(dataset.to_netcdf(engine=ENGINE)))
    except OSError as error:
        raise RequestError(f"cannot be written: {error.strerror}", option="out", value=path) from None


def _dims(predicted: Predicted, name: str) -> list[str]:
    """Return names of the axes of a summary."""
    axes = [f"{name}_dim_{axis}" for axis in range(predicted.sites[name].ndim - 1)]
    return ["statistic", *(["row", *axes[1:]] if name in predicted.by_row else axes)]


def recheck(
    run: RunArgument,
    data: DataOption,
    guide: GuideOption = None,
    problem: ProblemOption = None,
    seed: SeedOption = 0,
) -> int:
    """Hold a trained guide against new data, training nothing: status 1 where these have drifted.

    Its verdict on them is by its weights, as in a run; whether they contradict those of training beyond chance is told
    besides.
    """
    from guidebench.api.of_run import OfRun
    from guidebench.inference.device import cache, threads

    threads.enough()
    cache.enable()
    found = OfRun.read(run, problem)
    trained = found.trained(guide)
    values = {
        name: value
        for name, value in found.new_values(data).items()
        if value is not found.problem.arguments().get(name)
    }
    told = trained.recheck(values, seed=seed)
    print(f"{trained.name}: {told}")
    return int(bool(told.drifted))


def models(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...",
            help="Folders that 'guidebench run' wrote, of models on the same data; or one, of all of them.",
        ),
    ],
) -> int:
    """Compare models on the same data: PSIS-LOO with differences, log evidences, scores on rows held out."""
    from guidebench.api import compare_models, load

    if len(runs) == 1:
        found = compare_models(load(runs[0]))
    else:
        found = compare_models({name: load(folder) for name, folder in zip(_names(runs), runs, strict=True)})
    shown = found.dropna(axis="columns", how="all")
    print(shown.to_string(float_format=lambda value: f"{value:.2f}", na_rep=""))
    for name, reason in found.attrs["reasons"].items():
        print(f"guidebench: {name}: {reason}", file=sys.stderr)
    return int(bool(found.attrs["reasons"]))


def _names(runs: list[Path]) -> list[str]:
    """Return what to call each run: the name of its folder, or all of its path where two have the same."""
    short = [folder.resolve().name for folder in runs]
    return short if len(set(short)) == len(short) else [str(folder) for folder in runs]
