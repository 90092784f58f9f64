"""Typst markup to a tagged PDF (PDF/UA-1), whatever characters a customer's name is written in."""

from __future__ import annotations

import datetime as dt
import re

import typst

_LACKING = re.compile(r'the text `"(.+?)"` could not be displayed')
_STANDS_IN = "□"


def pdf(source: str, on: dt.date) -> bytes:
    """The same source on the same day gives the same bytes, on one machine.

    PDF/UA-1 refuses a character that no font has, and Typst brings fonts for few scripts. So the machine's
    own fonts are asked next, and what they lack too shows as a square: the text beside the PDF has it, and no
    plan may wait for a font. Raises typst.TypstError for markup that is wrong.
    """
    try:
        return _compiled(source, on, own_fonts=True)
    except typst.TypstError as problem:
        if not _LACKING.search(_said(problem)):
            raise
    while True:
        try:
            return _compiled(source, on, own_fonts=False)
        except typst.TypstError as problem:
            lacking = {c for text in _LACKING.findall(_said(problem)) for c in _unescaped(text) if c > "\x7f"}
            if not lacking & set(source):
                raise
            source = source.translate({ord(c): _STANDS_IN for c in lacking})


def _compiled(source: str, on: dt.date, *, own_fonts: bool) -> bytes:
    midnight = dt.datetime.combine(on, dt.time(), dt.UTC).timestamp()
    made = typst.compile(
        source.encode(), timestamp=int(midnight), pdf_standards="ua-1", ignore_system_fonts=own_fonts
    )
    return bytes(made)


def _said(problem: typst.TypstError) -> str:
    """Every error, not the first alone."""
    return str(getattr(problem, "diagnostic", "") or problem)


def _unescaped(text: str) -> str:
    """Invisible characters stand as \\u{200d}."""
    return re.sub(r"\\u\{([0-9a-f]+)\}", lambda m: chr(int(m[1], 16)), text)
