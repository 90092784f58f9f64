"""One command for a one-machine installation: the queue's server, web, worker and clock as children.

A child that ends is started again, a little later each time it fails at once. SIGTERM and Ctrl-C stop them in
order, the queue's server last. When this process is killed outright, the system ends the children with it.
"""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, Any
from urllib.parse import urlsplit

from connector import config, db, embedded, logs
from connector.config import LOCAL_HOSTS, Config, WrongSetting

log = logging.getLogger(__name__)

GRACE = 10  # seconds that a child has to end by itself
STEADY = 30  # seconds after which a start counts as good
LONGEST_PAUSE = 30
WEB_THREADS = 16
HOME = Path(__file__).parent.parent


@dataclass
class Child:
    """One process that is to be running."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] | None = None
    output: IO[bytes] | None = None  # None: where our own log goes
    process: subprocess.Popen[bytes] | None = None
    started: float = 0
    failures: int = 0
    not_before: float = 0

    def start(self) -> None:
        self.started = time.monotonic()
        # Standard output is the command's own (JSON, say): what children print goes with the log.
        out = self.output or 2
        self.process = subprocess.Popen(
            self.command,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )

    def look(self) -> None:
        """Start it when it is not running, unless it has just failed."""
        now = time.monotonic()
        if self.process is not None and (code := self.process.poll()) is not None:
            self.process = None
            self.failures = 0 if now - self.started > STEADY else self.failures + 1
            pause = min(LONGEST_PAUSE, 0.5 * 2**self.failures) if self.failures else 0
            self.not_before = now + pause
            log.warning("%s ended (%s); starting it again in %.1f s", self.name, code, pause)
        if self.process is None and now >= self.not_before:
            self.start()

    def ask_to_end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def end(self, seconds: float) -> None:
        if self.process is None:
            return
        try:
            self.process.wait(max(0.1, seconds))
        except subprocess.TimeoutExpired:
            log.warning("%s did not end in time", self.name)
            self.process.kill()
            self.process.wait()
        self.process = None


@dataclass
class Installation:
    """The children of one `forbear up`. Use as a context manager, or call `start` and `stop`."""

    config: Config
    workers: int = 1
    web: bool = True
    environment: Mapping[str, str] | None = None  # that `config` was read from; default: this process's
    output: IO[bytes] | None = None  # where the children's words go; None: with our own log
    _children: list[Child] = field(default_factory=list)
    _lock: IO[str] | None = None

    def start(self) -> None:
        """Start everything; returns once the queue's server answers and the tables are current.

        Raises WrongSetting when another installation runs on the same data folder.
        """
        self._lock = _only_one(self.config)
        try:
            if not self.config.redis_url:
                embedded.stop_leftover(self.config)
                self._add("queue", "queue").start()
            embedded.wait_until_ready(self.config)
            db.migrate(self.config)
        except BaseException:
            self.stop()
            raise
        roles = ["web"] * self.web + ["worker"] * self.workers + ["clock"]
        for n, role in enumerate(roles):
            self._add(f"{role}-{n}" if role == "worker" else role, role).start()

    def _add(self, name: str, role: str) -> Child:
        command = [sys.executable, "-m", "connector.supervisor", role, str(os.getpid())]
        child = Child(name, command, self.environment, self.output)
        self._children.append(child)
        return child

    def look(self) -> None:
        """Start again what ended. Call every second or so."""
        for child in self._children:
            child.look()

    def processes(self) -> dict[str, int]:
        """Process ids by child, of those that run."""
        return {c.name: c.process.pid for c in self._children if c.process and c.process.poll() is None}

    def stop(self) -> None:
        """Stop everything in order: those that use the queue's server first, then the server."""
        users = [c for c in self._children if c.name != "queue"]
        for group in (users, [c for c in self._children if c.name == "queue"]):
            for child in group:
                child.ask_to_end()
            end = time.monotonic() + GRACE
            for child in group:
                child.end(end - time.monotonic())
        self._children.clear()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Installation:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _only_one(settings: Config) -> IO[str]:
    """Two servers on one data folder would spoil its files, so the second `up` is refused."""
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = (settings.data_dir / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise WrongSetting(
            f"Forbear is already running on {settings.data_dir}. Stop it first, or set FORBEAR_DATA_DIR "
            "to another folder."
        ) from None
    return lock


def up(settings: Config, *, workers: int = 1, say: Callable[[str], None] = print) -> int:
    """Run the whole installation until SIGTERM or Ctrl-C. Returns the process's exit code."""
    with _stop_signal() as stop, Installation(settings, workers=workers) as running:
        say(f"Forbear is at {settings.public_url}. Ctrl-C stops it.")
        while not stop.wait(1):
            running.look()
        say("Stopping …")
    return 0


@contextmanager
def _stop_signal() -> Iterator[threading.Event]:
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# ---------------------------------------------------------------- inside a child


def web_command(settings: Config) -> list[str]:
    """gunicorn: one process with many threads, because SQLite has one writer anyway."""
    # On one machine nobody else is let in; a public address means that a proxy or router reaches us.
    local = urlsplit(settings.public_url).hostname in LOCAL_HOSTS
    listen = settings.listen or ("127.0.0.1" if local else "0.0.0.0")  # noqa: S104
    return [
        "gunicorn",
        *(
            "--bind",
            f"{f'[{listen}]' if ':' in listen else listen}:{settings.port}",
            "--workers",
            "1",
            "--threads",
            str(WEB_THREADS),
        ),
        *(
            "--worker-class",
            "web.slow.Worker",
            "--graceful-timeout",
            "8",
            "--logger-class",
            "web.log.Gunicorn",
        ),
        *("--no-control-socket",),
        *("--chdir", str(HOME)),  # gunicorn looks here first: a folder called web must not be taken for ours
        "web:create_app()",
    ]


def child(role: str, parent: int) -> int:
    """Be one of the children: queue, web, worker or clock."""
    embedded.die_with_parent(parent=parent)
    settings = config.load()
    if role == "queue":
        embedded.run(settings)
    if role == "web":
        from gunicorn.app import wsgiapp

        gunicorn: Any = wsgiapp  # carries no types
        os.environ["FORBEAR_DATA_DIR"] = str(settings.data_dir)  # the same folder from wherever we stand
        sys.argv = web_command(settings)
        gunicorn.run()
        return 0
    if role == "worker":
        from connector import worker

        return worker.main(settings)
    if role == "clock":
        from connector import clock

        return clock.main(settings)
    raise SystemExit(f"There is no process called {role!r}.")


if __name__ == "__main__":
    logs.configure()
    raise SystemExit(child(sys.argv[1], int(sys.argv[2])))
