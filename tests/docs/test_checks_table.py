"""The table of checks in the documentation is made from the checks; run this file to make it again."""

from __future__ import annotations

from pathlib import Path

from guidebench.testing import CHECKS

PAGE = Path(__file__).parents[2] / "docs" / "writing-a-plugin.md"
BEGIN, END = "<!-- checks: begin -->\n", "<!-- checks: end -->\n"


def table() -> str:
    rows = [f"| `{check.name}` | {check.claim} | {check.reason} |" for check in CHECKS]
    return "\n".join(["| check | what holds | why |", "|---|---|---|", *rows]) + "\n"


def with_table(text: str) -> str:
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + table() + END + rest.partition(END)[2]


def test_the_table_of_checks_is_what_the_checks_say() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert (text.count(BEGIN), text.count(END)) == (1, 1)
    assert text == with_table(text), f"python {Path(__file__).name} makes the table again"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
