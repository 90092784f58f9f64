"""What a receiver may meet inside a rightly signed body."""

from __future__ import annotations

from collections.abc import Sequence

from connector.mirroring.inbox import Change


class UnknownShape(Exception):
    """The ledger signed something that we cannot read, in whole or in part.

    `str()` says what was odd without quoting the body, because it is logged. `readable` are the changes of
    the parts that could be read; they count all the same.
    """

    def __init__(self, why: str, readable: Sequence[Change] = ()) -> None:
        super().__init__(why)
        self.readable = tuple(readable)
