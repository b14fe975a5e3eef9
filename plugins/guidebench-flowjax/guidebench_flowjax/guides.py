"""The flows by name: their options, what they can be used on, and where they were published."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from guidebench import Guide

#: The networks and triangles of a flow grow with the square of the dimension.
MOST_DIMENSIONS = 1_000

_SPLINES = "Durkan, Bekasov, Murray & Papamakarios (2019), Neural Spline Flows, NeurIPS, arXiv:1906.04032"


def coupling(
    model: Callable[..., Any],
    *,
    flow_layers: int = 6,
    nn_width: int = 32,
    nn_depth: int = 1,
    knots: int = 8,
    interval: float = 4.0,
) -> Any:
    """Return a coupling flow with rational-quadratic splines.

    Parameters
    ----------
    model : callable
        A NumPyro model with at least two latent dimensions.
    flow_layers : int
        Number of coupling layers, the coordinates permuted between them.
    nn_width, nn_depth : int
        Width and number of the hidden layers of each network.
    knots : int
        Inner knots of each spline.
    interval : float
        Splines bend within plus and minus this, and are the identity outside of it.
    """

    def make(key: Any, base: Any) -> Any:
        from flowjax.flows import coupling_flow

        return coupling_flow(
            key,
            base_dist=base,
            transformer=_spline(knots, interval),
            flow_layers=flow_layers,
            nn_width=nn_width,
            nn_depth=nn_depth,
            invert=False,  # the direction in which drawing is quick
        )

    return _guide(model, make, flow_layers=flow_layers, nn_width=nn_width, nn_depth=nn_depth, knots=knots)


def masked_autoregressive(
    model: Callable[..., Any],
    *,
    flow_layers: int = 4,
    nn_width: int = 32,
    nn_depth: int = 1,
    knots: int = 8,
    interval: float = 4.0,
) -> Any:
    """Return a masked autoregressive flow with rational-quadratic splines; its options are those of `coupling`."""

    def make(key: Any, base: Any) -> Any:
        from flowjax.flows import masked_autoregressive_flow

        return masked_autoregressive_flow(
            key,
            base_dist=base,
            transformer=_spline(knots, interval),
            flow_layers=flow_layers,
            nn_width=nn_width,
            nn_depth=nn_depth,
            invert=False,
        )

    return _guide(model, make, flow_layers=flow_layers, nn_width=nn_width, nn_depth=nn_depth, knots=knots)


def triangular_spline(
    model: Callable[..., Any], *, flow_layers: int = 6, knots: int = 8, tanh_max_val: float = 3.0
) -> Any:
    """Return a flow of triangular maps and splines of single coordinates by turns.

    Parameters
    ----------
    model : callable
        A NumPyro model.
    flow_layers : int
        Number of layers, the order of the coordinates reversed between them.
    knots : int
        Inner knots of each spline.
    tanh_max_val : float
        Splines bend within plus and minus this; the map is linear outside of it.
    """

    def make(key: Any, base: Any) -> Any:
        from guidebench_flowjax.triangular import triangular_spline_flow

        return triangular_spline_flow(key, base, flow_layers=flow_layers, knots=knots, tanh_max_val=tanh_max_val)

    return _guide(model, make, flow_layers=flow_layers, knots=knots)


def _spline(knots: int, interval: float) -> Any:
    from flowjax.bijections import RationalQuadraticSpline

    return RationalQuadraticSpline(knots=knots, interval=interval)


def _guide(model: Callable[..., Any], make: Callable[[Any, Any], Any], **sizes: int) -> Any:
    from guidebench_flowjax.flow import AutoFlow

    for name, value in sizes.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, not {value}")
    return AutoFlow(model, make)


def supports(structure: Any) -> str | None:
    """Refuse very large posteriors."""
    if structure.latent_dim <= MOST_DIMENSIONS:
        return None
    return f"{structure.latent_dim:,} latent dimensions are too many for this flow; at most {MOST_DIMENSIONS:,}"


def supports_two(structure: Any) -> str | None:
    """Refuse posteriors of one dimension as well, in which no coordinate depends on another."""
    if structure.latent_dim < 2:
        return "this flow needs at least two latent dimensions; use flowjax_triangular_spline"
    return supports(structure)


# An affine map of what a flow yields is one more layer of it, a fixed one: all of them may be standardised fully.
GUIDES = (
    Guide(
        name="flowjax_coupling",
        build=coupling,
        supports=supports_two,
        summary="FlowJAX: coupling flow with rational-quadratic splines",
        family="affine",
        cite=f"{_SPLINES}; Dinh, Sohl-Dickstein & Bengio (2017), Density Estimation Using Real NVP, arXiv:1605.08803",
    ),
    Guide(
        name="flowjax_masked_autoregressive",
        build=masked_autoregressive,
        supports=supports_two,
        summary="FlowJAX: masked autoregressive flow with rational-quadratic splines",
        family="affine",
        cite=f"{_SPLINES}; Kingma et al. (2016), Improving Variational Inference with Inverse Autoregressive Flow, "
        "arXiv:1606.04934",
    ),
    Guide(
        name="flowjax_triangular_spline",
        build=triangular_spline,
        supports=supports,
        summary="FlowJAX: triangular affine maps and splines of single coordinates by turns",
        family="affine",
        cite=f"Ward (2024), FlowJAX, doi:10.5281/zenodo.10402073; {_SPLINES}",
    ),
)
