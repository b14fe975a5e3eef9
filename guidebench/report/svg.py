"""Figures as SVG that a page can ask: what is drawn of a guide is marked as that guide's.

A guide has one colour everywhere (:mod:`guidebench.report.palette`), so whatever is drawn in it is the guide's: it gets
the class that the guide's rows of tables have, too, and one rule of style hides them all.  Sections, those of plugins
among them, need not do anything for it but draw in the colours they are given; a panel that is one guide's is marked as
a whole by ``ax.set_gid(mark(page.colour(fit)))``.  What a reader is told who points at something drawn, :func:`tell`
says; a browser shows it without any script.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.collections import Collection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from guidebench.config.text import shown
from guidebench.report.palette import COLOURS, REFERENCE, mark

_MARKS = {colour: mark(colour) for colour in (*COLOURS, REFERENCE)}
_CLASSES = frozenset(_MARKS.values())

#: Begins the name of an artist that :func:`tell` was called with; its class and the text follow.
_TOLD = "told:"
_TELLING = re.compile(rf"<g id=([\"']){_TOLD}([^|]*)\|(.*?)\1>")

_IDS = re.compile(r' id="([^"]*)"')
_REFERRED = re.compile(r'(?:href="|url\()#([^")]+)')
_REFERENCES = re.compile(r'(href="|url\()#')
_NOISE = re.compile(r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", re.DOTALL)
_PATHS = re.compile(r' d="[^"]*"')
_DECIMALS = re.compile(r"(\.\d)\d+")
_SIZE = re.compile(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>')
_FONTS = re.compile(r"(font: [^;\"]*?px) [^;\"]*")

_SPACES = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'

#: What a figure says of itself beside the drawing; nothing, so that the same figure is the same bytes.
_NOTHING = dict.fromkeys(("Creator", "Date", "Format", "Type"))


def tell(artist: Artist, text: str) -> None:
    """Have a page tell `text` to whoever points at what is drawn by a line, a patch or a collection."""
    told = shown(text).replace('"', "'")  # a text that looked like an attribute would be taken for one
    artist.set_gid(f"{_TOLD}|{told}")


def is_told(artist: Artist) -> bool:
    """Return whether :func:`tell` was called with that."""
    return str(artist.get_gid() or "").startswith(f"{_TOLD}|")


def to_svg(figure: Figure, name: str) -> str:
    """Return the figure as an ``<svg>`` element.

    Parameters
    ----------
    figure : Figure
        The drawing.
    name : str
        Of the figure; the names of elements in it begin with it, so that many figures can be in one page.
    """
    for artist in figure.findobj():
        gid, telling = artist.get_gid(), is_told(artist)
        if gid is not None and not telling:
            continue
        if len(found := {to_hex(one) for one in _colours(artist)} & _MARKS.keys()) == 1:
            of = _MARKS[found.pop()]
            artist.set_gid(f"{_TOLD}{of}{str(gid).removeprefix(_TOLD)}" if telling else of)
    stream = io.StringIO()
    # Letters remain letters: they can be found and read out, and take a tenth of the room.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(stream, format="svg", metadata=_NOTHING)
    return _for_a_page(stream.getvalue(), name)


def _colours(artist: Artist) -> Iterator[Any]:
    """Yield the colours of an artist that tell whose it is."""
    if isinstance(artist, Line2D):
        yield artist.get_color()
    elif isinstance(artist, Collection):
        yield from (*artist.get_facecolor(), *artist.get_edgecolor())
    elif isinstance(artist, Patch):
        yield from (artist.get_facecolor(), artist.get_edgecolor())


def _for_a_page(text: str, name: str) -> str:
    """Return the element alone, with classes for guides and names that are used nowhere else."""
    text = _NOISE.sub("", text[text.index("<svg") :])
    text = _TELLING.sub(r'<g id="\2"><title>\3</title>', text)
    referred = set(_REFERRED.findall(text))

    def named(found: re.Match[str]) -> str:
        if found[1] in _CLASSES:
            return f' class="{found[1]}"'
        return f' id="{name}-{found[1]}"' if found[1] in referred else ""

    text = _REFERENCES.sub(rf"\1#{name}-", _IDS.sub(named, text))
    # A tenth of a point is less than what a screen can show.
    text = _PATHS.sub(lambda found: _DECIMALS.sub(r"\1", found[0]), text)
    text = _FONTS.sub(r"\1 Arial, 'DejaVu Sans', sans-serif", text)
    text = _SIZE.sub(rf'<svg {_SPACES} viewBox="\1">', text, count=1)
    return re.sub(r"\s*\n\s*", "\n", text).strip()
