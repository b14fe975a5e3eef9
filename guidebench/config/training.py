"""The options of training, and what a recipe makes of them.

A new one is declared here: its option in :class:`TrainingOptions`, and its value, where it is one of the recipe, in
:class:`Trained`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from guidebench.config.options import TRAINING, Option, Options


class TrainingOptions(Options):
    """What of training the user may say; ``None`` means "as the recipe has it"."""

    recipe: Annotated[
        Literal["default", "adam", "plain"],
        Option(
            help="default: ends when it is done. adam: Adam throughout, built to converge. plain: Adam at a constant "
            "rate, one particle, one start.",
            metavar="default|adam|plain",
            panel=TRAINING,
        ),
    ] = "default"
    optimizer: Annotated[
        str | None,
        Option(
            help="An optax optimiser with its arguments, as sgd:momentum=0.9.",
            metavar="NAME[:OPT=VAL,...]",
            panel=TRAINING,
        ),
    ] = None
    learning_rate: Annotated[float | None, Option(help="Peak learning rate.", metavar="X", panel=TRAINING)] = Field(
        None, gt=0, allow_inf_nan=False
    )
    schedule: Annotated[
        str | None,
        Option(
            help="Of the learning rate: cosine, linear, exponential or constant, with warmup=SHARE and final=SHARE.",
            metavar="NAME[:OPT=VAL,...]",
            panel=TRAINING,
        ),
    ] = None
    clip_norm: Annotated[
        float | None, Option(help="Clip gradients at this global norm; 0 for never.", metavar="X", panel=TRAINING)
    ] = Field(None, ge=0, allow_inf_nan=False)
    clip_share: Annotated[
        float | None,
        Option(help="Clip during the first share of the steps only; 1 for all.", metavar="SHARE", panel=TRAINING),
    ] = Field(None, gt=0, le=1)
    validation: Annotated[
        float | None,
        Option(
            help="Hold back a share of the rows from training, and stop early once their ELBO no longer improves.",
            metavar="SHARE",
            panel=TRAINING,
        ),
    ] = Field(None, gt=0, le=0.5)
    patience: Annotated[
        int | None,
        Option(help="Steps without an improvement before --validation stops.", metavar="N", panel=TRAINING),
    ] = Field(None, ge=1)
    steps: Annotated[int | None, Option(help="Optimiser steps.", metavar="N", panel=TRAINING)] = Field(
        None, ge=20, le=100_000_000
    )
    restarts: Annotated[
        int | None, Option(help="Starting points, trained side by side.", metavar="N", panel=TRAINING)
    ] = Field(None, ge=1, le=1_000)
    particles: Annotated[int | None, Option(help="Draws per gradient.", metavar="N", panel=TRAINING)] = Field(
        None, ge=1, le=100_000
    )
    loss: Annotated[
        str | None,
        Option(
            help="Trace_ELBO, TraceMeanField_ELBO, TraceGraph_ELBO or RenyiELBO:alpha=0.5.",
            metavar="NAME[:OPT=VAL]",
            panel=TRAINING,
        ),
    ] = None
    init: Annotated[
        str,
        Option(
            help="uniform, median, feasible, mean, sample, or value:SITE=X,SITE=X (values of the model's sites).",
            metavar="HOW",
            panel=TRAINING,
        ),
    ] = "uniform"
    x64: Annotated[bool, Option(help="Compute in float64 throughout.", panel=TRAINING)] = False
    seed: Annotated[int, Option(help="Seed of the run.", metavar="N", panel=TRAINING)] = Field(0, ge=0)


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What of a recipe an option of the same name changes, as it is.

    Attributes
    ----------
    optimizer : str
        An optax optimiser that takes a learning rate, with its arguments: ``sgd:momentum=0.9``.
    learning_rate : float
        Peak learning rate.
    clip_norm : float or None
        Global norm at which gradients are clipped.
    clip_share : float
        During which first share of the steps of the first round they are; 1 is for all steps of all
        rounds.  Clipping throughout can bias the optimum.
    validation : float or None
        Share of the rows that is kept from training, to stop it early.
    patience : int or None
        Steps without an improvement on these rows after which training stops; ``None`` for a tenth of
        the steps of the round.
    steps, restarts, particles : int
        Optimiser steps, starting points, and draws per gradient.
    loss : str
        The objective, with its arguments: ``RenyiELBO:alpha=0.5``.
    """

    optimizer: str = "adam"
    learning_rate: float
    clip_norm: float | None = None
    clip_share: float = 1.0
    validation: float | None = None
    patience: int | None = None
    steps: int
    restarts: int
    particles: int
    loss: str = "Trace_ELBO"
