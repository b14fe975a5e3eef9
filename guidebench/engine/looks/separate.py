"""Latent sites that are written one by one and could be one site in a plate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from guidebench.inference.structure import Site

#: Sites of one kind that are worth a plate, at least.
FEWEST = 30


def separate(latents: Sequence[Site]) -> Iterator[str]:
    """Yield a line for every series of sites that differ by a number in their names alone.

    Parameters
    ----------
    latents : sequence of Site
        The latent sites of a model.
    """
    series: dict[tuple[str, tuple[int, ...], str], list[str]] = {}
    for site in latents:
        stem = site.name.rstrip("0123456789")
        if stem != site.name:
            series.setdefault((stem, site.shape, site.support), []).append(site.name)
    for (stem, _, _), names in series.items():
        if len(names) >= FEWEST:
            name = stem.rstrip("_-.[(/ ") or "x"
            yield (
                f"{names[0]}, {names[1]}, ..., {names[-1]} are {len(names):,} latent sites of one kind. Write them as "
                f'one in a plate, with numpyro.plate("each_{name}", {len(names)}): {name} = numpyro.sample("{name}", '
                "...): what is written one by one compiles, draws and is saved one by one."
            )
