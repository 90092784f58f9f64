"""One step by hand, in this process: read the ledgers, review, write what is due."""

from __future__ import annotations

import argparse

from connector.commands import shell


def add(commands: shell.Commands) -> None:
    sync = shell.command(commands, "sync", _sync, "pull what changed in the ledgers into the books")
    shell.connection_option(sync).add_argument("--full", action="store_true", help="read everything again")
    review = shell.command(
        commands, "review", _review, "find out who is in trouble, draft plans and reminders"
    )
    shell.connection_option(review)
    shell.connection_option(shell.command(commands, "deliver", _deliver, "perform the writes that are due"))


def _sync(options: argparse.Namespace) -> int:
    from connector.mirroring import sync

    for settings, engine, connection in shell.each(options):
        result = sync.sync(engine, settings, connection.id, full=options.full, say=shell.say)
        if result is None:
            print(f"{connection.organization}: somebody else reads it just now.")
        else:
            kinds = ", ".join(f"{n} {kind.value}" for kind, n in result.records.items() if n) or "nothing new"
            print(f"{connection.organization}: {kinds}; {len(result.changed)} customers changed.")
    return 0


def _review(options: argparse.Namespace) -> int:
    from connector import db
    from connector.connecting import connections
    from connector.reviewing import review

    for settings, engine, connection in shell.each(options):
        today = connections.today(connection, settings)
        result = review.review(engine, connection.id, now=db.now(), today=today)
        print(
            f"{connection.organization}: {result.customers} customers, {result.findings} findings, "
            f"{result.plans_drafted} plans drafted, {result.reminders_due} reminders due, "
            f"{result.reminders_held} held."
        )
    return 0


def _deliver(options: argparse.Namespace) -> int:
    failed = 0
    for settings, engine, connection in shell.each(options):
        failed += shell.delivered(settings, engine, connection)
    return 1 if failed else 0
