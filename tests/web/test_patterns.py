"""What pages are drawn with."""

import re
from pathlib import Path

WEB = Path(__file__).resolve().parents[2] / "web"


def test_the_patterns_of_old_debt_have_their_colours() -> None:
    style = (WEB / "static" / "forbear.css").read_text()
    drawn = set(re.findall(r'class="(flat[^"]*)"', (WEB / "templates" / "patterns.svg").read_text()))
    assert drawn
    assert not {name for name in drawn if f".{name} {{" not in style}  # without a rule a shape is black
