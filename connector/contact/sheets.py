"""Letters and packs as small tagged PDFs, made by Typst: headings, paragraphs and tables, the user's text never markup."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from connector import typesetting
from connector.domain.demand import Block

_PAGE = """#set document(title: {title}, date: datetime(year: {y}, month: {m}, day: {d}))
#set page(paper: {paper}, margin: (x: 22mm, y: 22mm), numbering: "1 / 1")
#set text(size: 10.5pt, lang: {lang})
#set par(leading: 0.7em)
#set table(stroke: none, inset: (x: 4pt, y: 3pt))
#show table.cell.where(y: 0): strong
"""


def pdf(title: str, blocks: Iterable[Block], on: dt.date, *, paper: str = "a4", lang: str = "en") -> bytes:
    """A tagged PDF (PDF/UA-1). The same blocks on the same day give the same bytes."""
    source = _PAGE.format(
        title=_quoted(title), y=on.year, m=on.month, d=on.day, paper=_quoted(paper), lang=_quoted(lang)
    )
    first = True
    for block in blocks:
        if block.rows:
            source += _table(block.rows)
        elif block.heading:
            source += f"{'=' if first else '=='} #{_quoted(block.text)}\n"
            first = False
        else:
            source += "".join(f"#{_quoted(line)} \\\n" for line in block.text.splitlines()) + "\n"
    return typesetting.pdf(source, on)


def _table(rows: tuple[tuple[str, ...], ...]) -> str:
    width = len(rows[0])
    columns = ", ".join(["auto"] * width)
    align = ", ".join(["left"] + ["right"] * (width - 1)) if width == 2 else ", ".join(["left"] * width)
    head = ", ".join(f"[#{_quoted(cell)}]" for cell in rows[0])
    cells = ",\n".join(", ".join(f"[#{_quoted(cell)}]" for cell in row) for row in rows[1:])
    size = "9pt" if width > 4 else "10.5pt"
    return f"#text(size: {size})[#table(columns: ({columns}), align: ({align}), table.header({head}),\n{cells})]\n\n"


def _quoted(text: str) -> str:
    """A Typst string: nothing in it is markup."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
