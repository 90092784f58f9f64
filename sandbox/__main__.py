"""`python -m sandbox`: run the pretend ledgers until stopped."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from datetime import date
from pathlib import Path

from sandbox.books import WrongBooks, read
from sandbox.clock import Clock
from sandbox.company import sample_companies
from sandbox.recording import recorded
from sandbox.server import PLATFORMS, Server
from sandbox.world import World

SAVE_EVERY = 5.0  # seconds


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 after a signal, 2 when an argument or file cannot be used."""
    options = _options(arguments)
    world = World(Clock(options.today), unthrottled=options.unthrottled)
    try:
        _fill(world, options)
    except WrongBooks as wrong:
        print(f"sandbox: {wrong}", file=sys.stderr)
        return 2
    for setting in options.webhooks:
        platform, _, url = setting.partition("=")
        if platform not in PLATFORMS or not url.startswith("http"):
            print(f"sandbox: --webhooks {setting}: write quickbooks=URL or xero=URL.", file=sys.stderr)
            return 2
        world.delivery.listen(platform, url)
    try:
        server = Server(world, host=options.host, port=options.port)
        if options.record:
            server.app.wsgi_app = recorded(server.app.wsgi_app, options.record)  # type: ignore[method-assign]
    except OSError as error:
        print(f"sandbox: port {options.port} or a file cannot be used ({error}).", file=sys.stderr)
        return 2
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with server:
        print(f"sandbox: {server.url}  ({len(world.companies)} companies)", flush=True)
        seen = _revision(world)
        while not stop.wait(SAVE_EVERY):
            if options.state and _revision(world) != seen:
                seen = _revision(world)
                world.save(options.state)
    if options.state:
        world.save(options.state)
    return 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox", description="A pretend QuickBooks Online and Xero."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 (the default) takes a free one and prints it")
    parser.add_argument("--books", type=Path, help="a books/1 file instead of the sample companies")
    parser.add_argument(
        "--platform", choices=[*PLATFORMS, "both"], default="both", help="for --books; both: in turn"
    )
    parser.add_argument("--today", type=date.fromisoformat, help="pretend it is this date")
    parser.add_argument("--state", type=Path, help="folder to keep everything in, and to continue from")
    parser.add_argument("--webhooks", action="append", default=[], metavar="PLATFORM=URL")
    parser.add_argument("--unthrottled", action="store_true", help="no rate limits")
    parser.add_argument(
        "--record", type=Path, default=os.environ.get("SANDBOX_RECORD") or None,
        help="append every request on the books to this file (default: $SANDBOX_RECORD)",
    )  # fmt: skip
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.DEBUG if options.verbose else logging.WARNING)
    return options


def _fill(world: World, options: argparse.Namespace) -> None:
    if options.state and world.restore(options.state):
        if options.today:
            world.clock.set_today(options.today)
        return
    if options.books:
        platforms = PLATFORMS if options.platform == "both" else (options.platform,)
        for ledger in read(options.books, world.clock, platforms):
            world.add(ledger)
    else:
        for ledger in sample_companies(world.clock):
            world.add(ledger)


def _revision(world: World) -> int:
    return sum(ledger.revision for ledger in world.companies.values()) + len(world.grants.access)


if __name__ == "__main__":
    sys.exit(main())
