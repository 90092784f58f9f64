"""The record: who did what, when and why, for people and for Forbear itself; filtered, and as CSV."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections.abc import Iterable, Mapping

from flask import Response, g, render_template, request

from connector import db
from connector.connecting import connections
from connector.connecting.connections import Connection
from connector.domain import codec
from connector.practice import people
from connector.record import audit
from web.pages import blueprint
from web.sign_in import engine, role_in

SHOWN = 100
EXPORTED = 100_000
LAST = 2**31 - 1  # no line has a higher number


@blueprint.get("/record")
def record() -> str:
    before = request.args.get("before", "")
    known = before.isascii() and before.isdecimal() and len(before) < 16
    older_than = min(int(before), LAST) if known else None
    mine, entries, chosen, about, who = _asked(SHOWN + 1, older_than)
    return render_template(
        "record.html",
        entries=entries[:SHOWN],
        older_than=older_than,
        today=db.now().date(),
        mine=mine,
        chosen=chosen,
        about=about,
        who=who,
        older=entries[SHOWN - 1].seq if len(entries) > SHOWN else None,
        here="record",
    )


@blueprint.get("/record.csv")
def record_csv() -> Response:
    """The same lines with what was before and after, and each line's hash."""
    mine, entries, *_ = _asked(EXPORTED)
    out = io.StringIO()
    table = csv.writer(out, quoting=csv.QUOTE_ALL)  # some spreadsheets part at semicolons
    table.writerow(["at (UTC)", "organization", "who", "what", "about", "why", "before", "after", "hash"])
    for e in entries:
        name = mine[e.connection_id].organization if e.connection_id and e.connection_id in mine else ""
        table.writerow(
            [e.at.isoformat(), *map(_safe, (name, e.who, e.what, e.subject, e.why)), _json(e.before), _json(e.after), e.hash]
        )  # fmt: skip
    return Response(
        out.getvalue(),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": "attachment; filename=forbear-record.csv"},
    )


@blueprint.get("/record.json")
def record_json() -> Response:
    """The same lines for a program, oldest first, with all of each line."""
    _, entries, *_ = _asked(EXPORTED)
    lines = [codec.to_json(entry) for entry in reversed(entries)]
    return Response(
        json.dumps(lines, ensure_ascii=False, indent=1, default=str),
        content_type="application/json",
        headers={"Content-Disposition": "attachment; filename=forbear-record.json"},
    )


def _safe(text: str) -> str:
    """A spreadsheet runs what begins like a formula, after blanks and in wide letters too; a quote in front keeps it
    text."""
    seen = unicodedata.normalize("NFKC", text).lstrip("\ufeff \t\r\n")
    return f"'{text}" if seen[:1] in ("=", "+", "-", "@") else text


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) if value is not None else ""


def _asked(
    limit: int, before: int | None = None
) -> tuple[Mapping[str, Connection], list[audit.Entry], str, str, str]:
    """The organizations of the person, and the lines that the address asks for, newest first."""
    chosen, about = request.args.get("organization", ""), request.args.get("about", "").strip()
    who = request.args.get("who", "").strip()
    if chosen:
        role_in(chosen)
    with db.reading(engine()) as tx:
        mine = {id: connections.get(tx, id) for id in people.connections_of(tx, g.person.id)}
        wanted: Iterable[str] = [chosen] if chosen else mine
        entries = [
            e
            for id in wanted
            for e in audit.of_connection(tx, id, subject=about or None, who=who, before=before, limit=limit)
        ]
    entries.sort(key=lambda e: e.seq, reverse=True)
    return mine, entries, chosen, about, who
