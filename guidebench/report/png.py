"""Figures as small PNG files with a palette of at most 256 colours."""

from __future__ import annotations

import io

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray


def to_png(figure: Figure, colours: int = 256) -> tuple[bytes, int, int]:
    """Return the figure as a PNG file of so many colours at most, and its width and height in pixels.

    A plot has few colours: a palette makes the file two to three times smaller than full colour,
    which counts because the report carries every figure inside.
    """
    from PIL import Image

    canvas = figure.canvas if isinstance(figure.canvas, FigureCanvasAgg) else FigureCanvasAgg(figure)
    canvas.draw()
    indices, palette = quantise(np.asarray(canvas.buffer_rgba()), colours)
    image = Image.fromarray(indices)
    image.putpalette(palette.ravel().tolist())
    stream = io.BytesIO()
    image.save(stream, format="png", compress_level=6)
    return stream.getvalue(), image.width, image.height


def quantise(pixels: NDArray[np.uint8], colours: int = 256) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return palette indices of RGBA pixels, and the palette.

    The most frequent cells of a coarse colour cube become the palette, each with the mean of its
    pixels.  That keeps the large areas of a plot exact (Pillow's quick method tints white paper, its
    exact one takes longer than the drawing) and puts the rounding into the edges of letters.
    """
    # Runs of equal pixels are counted once: most of a plot is paper.
    packed = np.ascontiguousarray(pixels).view(np.uint32).ravel()
    starts = np.flatnonzero(np.concatenate([[True], packed[1:] != packed[:-1]]))
    lengths = np.diff(np.append(starts, packed.size))
    rgb = pixels.reshape(-1, 4)[starts, :3].astype(np.int64)
    cells = (rgb[:, 0] >> 3 << 10) | (rgb[:, 1] >> 3 << 5) | rgb[:, 2] >> 3
    counts = np.bincount(cells, weights=lengths, minlength=1 << 15)
    used = np.flatnonzero(counts)
    sums = [np.bincount(cells, weights=lengths * rgb[:, channel], minlength=1 << 15)[used] for channel in range(3)]
    means = np.stack(sums, axis=1) / counts[used, None]
    # The mean of a cell that holds the paper is paper: letters only smear its value by a fraction.
    means = np.where(means.min(axis=1, keepdims=True) > 251, 255.0, means)
    kept = (
        np.argsort(-counts[used], kind="stable")[:colours] if colours >= 256 else _varied(means, counts[used], colours)
    )
    # |a - b|^2 = |a|^2 - 2 a.b + |b|^2, where |a|^2 does not matter for the nearest.
    distance = (means[kept] ** 2).sum(axis=1) - 2 * means @ means[kept].T
    lookup = np.zeros(1 << 15, dtype=np.uint8)
    lookup[used] = distance.argmin(axis=1)
    indices = np.repeat(lookup[cells], lengths).reshape(pixels.shape[:2])
    return indices, means[kept].round().astype(np.uint8)


def _varied(means: NDArray[np.float64], counts: NDArray[np.int64], colours: int) -> NDArray[np.int64]:
    """Return which of the cells become a small palette: frequent ones, unlike those that are there already.

    Of few colours the most frequent would be the shades of one hue, and ink and the ends of a colour bar be
    lost.  Each next cell is the one whose pixels lie farthest from the palette, by the root of their number.
    """
    kept = [int(np.argmax(counts))]
    away = np.full(len(means), np.inf)
    while len(kept) < min(colours, len(means)):
        away = np.minimum(away, ((means - means[kept[-1]]) ** 2).sum(axis=1))
        kept.append(int(np.argmax(away * np.sqrt(counts))))
    return np.array(kept)
