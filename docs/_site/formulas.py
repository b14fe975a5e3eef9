"""Formulas as MathML, which browsers draw by themselves: the site asks no other host for a script."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert

#: A letter that stands upright, and a function whose argument has no parentheses: the converter keeps neither apart.
_UPRIGHT = re.compile(r"\\mathrm\{(\w)\}")
_FUNCTION = re.compile(r"\\(log|exp|det|max|min)(?![a-zA-Z])(?!\s*(?:\(|\\left|\\[bB]ig|_|\^))")


def _mathml(text: str, display: str) -> str:
    return convert(_FUNCTION.sub(r"\\\1\\,", _UPRIGHT.sub(r"\\text{\1}", text)), display=display)


def _inline(translator: Any, node: nodes.math) -> None:
    translator.body.append(_mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def _block(translator: Any, node: nodes.math_block) -> None:
    translator.body.append(f'<div class="formula">{_mathml(node.astext(), "block")}</div>')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, Any]:
    """Register the renderer ``mathml``."""
    app.add_html_math_renderer("mathml", inline_renderers=(_inline, None), block_renderers=(_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
