"""The processes of an installation: one machine, single processes, the demo, the pretend ledgers."""

from __future__ import annotations

import argparse
import os
import sys

from connector.commands import shell


def add(commands: shell.Commands) -> None:
    demo = shell.command(commands, "demo", _demo, "the whole job on two pretend ledgers")
    demo.add_argument("--once", action="store_true", help="end when everything is done")
    demo.add_argument("--json", action="store_true", help="print the report as JSON")
    demo.add_argument(
        "--books", metavar="FILE", help="companies from a books file instead of the sample ones"
    )
    demo.add_argument("--keep", action="store_true", help="go on where the last demo ended")
    up = shell.command(commands, "up", _up, "web, worker and clock of a one-machine installation")
    up.add_argument("--workers", type=int, default=1, metavar="N")
    web = shell.command(commands, "web", _web, "serve the pages and webhooks")
    worker = shell.command(commands, "worker", _worker, "do the work in the queue")
    worker.add_argument("--burst", action="store_true", help="end when the queue is empty")
    clock = shell.command(commands, "clock", _clock, "wake what is due, every few seconds")
    for process in (up, web, worker, clock):  # they run for long and tell what they do
        process.set_defaults(tells_all=True)
    shell.command(commands, "migrate", _migrate, "bring the database to this version's tables")
    sandbox = shell.command(
        commands, "sandbox", _sandbox, "run the pretend ledgers; options as `python -m sandbox`"
    )
    sandbox.prefix_chars = "\0"  # none of its options is ours
    sandbox.add_argument("rest", nargs=argparse.REMAINDER)


def _demo(options: argparse.Namespace) -> int:
    from connector.demo.main import main

    return main(once=options.once, as_json=options.json, books=options.books, keep=options.keep)


def _up(options: argparse.Namespace) -> int:
    from connector import config, supervisor

    return supervisor.up(config.load(), workers=options.workers)


def _web(options: argparse.Namespace) -> int:
    from connector import config, supervisor

    command = supervisor.web_command(config.load())
    os.execv(sys.executable, [sys.executable, "-m", *command])  # noqa: S606 - becomes gunicorn: signals reach it


def _worker(options: argparse.Namespace) -> int:
    from connector import config, worker

    return worker.main(config.load(), burst=options.burst)


def _clock(options: argparse.Namespace) -> int:
    from connector import clock, config

    return clock.main(config.load())


def _migrate(options: argparse.Namespace) -> int:
    from connector import config, db

    db.migrate(config.load())
    print("The database has this version's tables.")
    return 0


def _sandbox(options: argparse.Namespace) -> int:
    os.execv(sys.executable, [sys.executable, "-m", "sandbox", *options.rest])  # noqa: S606 - signals reach it
