"""Opening what Xero answered: its envelope, each element of a write, and a record that was asked for by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import msgspec

from adapters.xero import documents, faults, shapes
from connector.platforms import PlatformError, Refused, TryLater

_Found = TypeVar("_Found")


def opened(answer: faults.Answer) -> shapes.Envelope:
    """The envelope of a write's answer. Raises TryLater (uncertain) for one that is not Xero's JSON."""
    try:
        return shapes.envelope(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise faults.unreadable_answer(answer, writes=True) from None


def elements(answer: faults.Answer, name: str) -> list[msgspec.Raw]:
    """The elements that a write answered. Raises the error of the first one that failed."""
    listed: list[msgspec.Raw] = getattr(opened(answer), name) or []
    for row in listed:
        if wrong := problem(row, answer.reference):
            raise wrong
    return listed


def problem(row: msgspec.Raw, reference: str) -> PlatformError | None:
    """What stands against this element of a write; None when it was carried out."""
    if understood(documents.carried_out, row):
        return None
    return faults.refused_element(faults.element_messages(msgspec.json.decode(row)), reference)


def understood(read: Callable[..., _Found], row: Any, *more: Any) -> _Found:
    """What `read` makes of a record that was asked for by name: here a guess is worse than an error."""
    try:
        return read(row, *more)
    except (msgspec.DecodeError, ValueError, ArithmeticError) as problem:
        raise Refused(
            "Xero answered a record that Forbear cannot read. Please report this.",
            code="UNREADABLE_RECORD",
            words=str(problem),
        ) from None


def readable(read: Callable[..., _Found], rows: Iterable[Any], *more: Any) -> Iterator[_Found]:
    """What `read` makes of each record of a list; one that it cannot read is left out."""
    for row in rows:
        try:
            yield read(row, *more)
        except (msgspec.DecodeError, ValueError, ArithmeticError):
            continue


def one(found: list[msgspec.Raw] | None, what: str) -> msgspec.Raw:
    """The only row of an answer. Raises TryLater when there is none."""
    if not found:
        raise TryLater(
            f"Xero's answer names no {what}. Forbear tries again by itself.", code="UNREADABLE_ANSWER"
        )
    return found[0]
