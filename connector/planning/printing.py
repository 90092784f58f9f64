"""The agreement as a PDF that a screen reader can follow, made by Typst. The text beside it says the same."""

from __future__ import annotations

import datetime as dt
import re

from connector import typesetting
from connector.domain.agreement import Agreement

_PAGE = """#set document(title: {title}, date: datetime(year: {y}, month: {m}, day: {d}))
#set page(paper: "a4", margin: (x: 24mm, y: 22mm), numbering: "1 / 1")
#set text(size: 10.5pt, lang: {lang})
#set par(leading: 0.7em)
"""
_SECTION = re.compile(r"^\d+\. \S.*$")


def agreement(agreed: Agreement, on: dt.date, lang: str = "en", foot: str = "") -> bytes:
    """A tagged PDF of the agreement, with `foot` below it. The same words on the same day give the same bytes."""
    source = _PAGE.format(title=_quoted(agreed.title), y=on.year, m=on.month, d=on.day, lang=_quoted(lang))
    lines = agreed.text.splitlines()
    source += f"= #{_quoted(lines[0])}\n"
    for n, line in enumerate(lines[1:], 1):
        if n == 2 or _SECTION.match(line):  # the summary's heading, in whatever language
            source += f"== #{_quoted(line)}\n"
        elif line.startswith("- "):
            source += f"- #{_quoted(line[2:])}\n"
        elif line:
            source += f"#{_quoted(line)}\n\n"
        else:
            source += "\n"
    source += f"#text(size: 8pt)[#{_quoted('Fingerprint of the text: ' + agreed.sha256)}]\n"
    if foot:
        source += f"\n#text(size: 8pt)[#{_quoted(foot)}]\n"
    return typesetting.pdf(source, on)


def _quoted(text: str) -> str:
    """A Typst string: nothing in it is markup."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
