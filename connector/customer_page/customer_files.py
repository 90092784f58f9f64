"""Files that customers sent from their own page: checked by content, kept and handed out as they came, never opened."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connector.customer_page.customer_answers import Answer
from connector.db import customer_files as files

LARGEST = 5_000_000  # bytes


@dataclass(frozen=True, slots=True)
class File:
    """Without its content."""

    id: int
    connection_id: str
    answer_id: int
    name: str
    type: str
    size: int
    digest: str


def type_of(content: bytes) -> str | None:
    """The type by what is in the file, never by its name; None for one that we do not take."""
    if content.startswith(b"%PDF-"):
        return "application/pdf"
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content[4:8] == b"ftyp" and content[8:12] in (b"heic", b"heix", b"mif1", b"heim"):
        return "image/heic"
    return None


def safe_name(name: str) -> str:
    """Letters, digits and a few signs: what a path or a header could misread is gone."""
    base = name.replace("\\", "/").rpartition("/")[2]
    kept = "".join(c if c.isalnum() or c in " ._-" else "_" for c in base).strip(" .")
    return kept[-80:] or "file"


def keep(tx: Connection, answer: Answer, name: str, type: str, content: bytes, now: dt.datetime) -> None:
    """Store a file as it came. Its type was found from its content; nothing here ever opens it."""
    tx.execute(
        sa.insert(files).values(
            connection_id=answer.connection_id,
            answer_id=answer.id,
            name=name[:100],
            type=type,
            size=len(content),
            digest=hashlib.sha256(content).hexdigest(),
            content=content,
            created_at=now,
        )
    )


def of_answers(tx: Connection, answer_ids: Sequence[int]) -> dict[int, list[File]]:
    """By answer, in the order they came."""
    f = files.c
    query = sa.select(f.id, f.connection_id, f.answer_id, f.name, f.type, f.size, f.digest)
    found: dict[int, list[File]] = {}
    for start in range(0, len(answer_ids), 1000):  # databases count their parameters
        part = query.where(f.answer_id.in_(list(answer_ids[start : start + 1000]))).order_by(f.id)
        for row in tx.execute(part):
            found.setdefault(row.answer_id, []).append(File(*row))
    return found


def get(tx: Connection, file_id: int) -> tuple[File, bytes]:
    """Raises LookupError for an unknown id."""
    row = tx.execute(sa.select(files).where(files.c.id == file_id)).one_or_none()
    if row is None:
        raise LookupError(f"There is no file {file_id}.")
    about = File(row.id, row.connection_id, row.answer_id, row.name, row.type, row.size, row.digest)
    return about, row.content
