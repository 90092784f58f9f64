"""What the documents name exists: files, tests, commands, and the pages that the code points to."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from connector import cli

ROOT = Path(__file__).parents[1]
PARTS = ("connector", "adapters", "webhooks", "web", "sandbox", "benchmarks", "tests", "deploy", "docs")
TEXT = (ROOT / "docs" / "marketplace.md").read_text()
ROWS = [line for line in TEXT.splitlines() if re.match(r"\| [A-Z0-9]", line) and "asked for" not in line]


def test_every_named_test_exists() -> None:
    written = "\n".join(f.read_text() for f in (ROOT / "tests").rglob("test_*.py"))
    pages = "\n".join(f.read_text() for f in (ROOT / "docs").rglob("*.md"))
    named = set(re.findall(r"`(test_\w+)`", pages))
    assert len(named) > 30
    assert {name for name in named if f"def {name}(" not in written} == set()


def test_every_named_file_exists() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    file = re.compile(rf"(?<![\w/.])(?:{'|'.join(PARTS)})/[\w./-]+\.(?:py|md|png|sh|toml|yml)\b")
    named = {name for page in pages for name in file.findall(page.read_text())}
    assert len(named) > 80
    code = (f for part in PARTS for f in (ROOT / part).rglob("*.py"))
    named |= {name for f in code for name in re.findall(r"\bdocs/[\w/]+\.md", f.read_text())}
    assert {name for name in named if not (ROOT / name).exists()} == set()


def test_every_named_command_and_option_exists() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    named = {line for page in pages for line in re.findall(r"\bforbear ([a-z][^`\n;|]*)`", page.read_text())}
    assert len(named) > 10
    assert {line for line in named if not _known(cli._parser(), line.split())} == set()


def _known(parser: argparse.ArgumentParser, words: list[str]) -> bool:
    """Whether the commands that come first are ours, and every option behind them is the last one's."""
    for below in parser._actions:
        if isinstance(below, argparse._SubParsersAction) and words:
            return words[0] in below.choices and _known(below.choices[words[0]], words[1:])
    options = {o for action in parser._actions for o in action.option_strings}
    return {w for w in words if w.startswith("--")} <= options


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip())
def test_every_row_says_what_shows_it(row: str) -> None:
    shown = row.split("|")[3]
    assert re.search(r"`|tests/|docs/|page|by hand|there are none", shown), row
