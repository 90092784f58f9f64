"""The marketplaces' checklist names tests and pages: each of them must exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "marketplace.md").read_text()
ROWS = [line for line in TEXT.splitlines() if re.match(r"\| [A-Z0-9]", line) and "asked for" not in line]


def test_every_named_test_exists() -> None:
    written = "\n".join(f.read_text() for f in (ROOT / "tests").rglob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)", TEXT))
    assert len(named) > 15
    assert {name for name in named if f"def {name}(" not in written} == set()


def test_every_named_file_exists() -> None:
    named = set(re.findall(r"\b((?:tests|connector|docs|web|adapters)/[\w./]+\w)", TEXT))
    assert {name for name in named if not (ROOT / name).exists()} == set()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip())
def test_every_row_says_what_shows_it(row: str) -> None:
    shown = row.split("|")[3]
    assert re.search(r"`|tests/|docs/|page|by hand|there are none", shown), row
