"""What it all comes to: everything held, and what would have been said on earlier days."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from connector.commands import shell


def add(commands: shell.Commands) -> None:
    export = shell.command(commands, "export", _export, "everything that Forbear holds and concludes")
    shell.connection_option(export).add_argument(
        "--json", action="store_true", help="as JSON (the only form so far)"
    )
    replay = shell.command(
        commands, "replay", _replay, "what Forbear would have said on earlier days, from a books file"
    )
    replay.add_argument("books", metavar="BOOKS", type=Path)
    replay.add_argument("--at", metavar="DATE", action="append", required=True, type=shell.date)
    replay.add_argument("--json", action="store_true", help="as JSON (the only form so far)")


def _export(options: argparse.Namespace) -> int:
    from connector import db
    from connector.connecting import connections
    from connector.record import export

    settings, engine = shell.opened()
    ids = [options.connection] if options.connection else None
    with db.reading(engine) as tx:
        data = export.export(tx, ids, today=lambda c: connections.today(c, settings))
    json.dump(data, sys.stdout, ensure_ascii=False, indent=1)
    print()
    return 0


def _replay(options: argparse.Namespace) -> int:
    from connector.reviewing import replay

    said = replay.replay(options.books, options.at)
    json.dump(said[0] if len(said) == 1 else said, sys.stdout, ensure_ascii=False, indent=1)
    print()
    return 0
