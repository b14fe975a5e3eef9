"""``guidebench.compare`` with its report on one of the benchmark's models; prints what was said of each guide."""

from __future__ import annotations

import argparse
import tempfile

from models import made

import guidebench as gb
from guidebench.inference.device import cache


def main() -> None:
    """Compare, write the report, and say in a line how it went."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--guides", default="default")
    parser.add_argument("--reference", default="none")
    asked = parser.parse_args()
    cache.enable()
    model, data = made(asked.model)
    comparison = gb.compare(model, **data, guides=asked.guides.split(","), reference=asked.reference, progress=False)
    with tempfile.TemporaryDirectory() as folder:
        comparison.report(folder)
    said = ", ".join(
        f"{fit.guide} {fit.verdict} ({fit.status}, ELBO {fit.value('elbo') or float('nan'):.2f})" for fit in comparison
    )
    print(f"= {said}")


if __name__ == "__main__":
    main()
