"""CPU seconds of this process and of a PostgreSQL server, from /proc. Nothing but the standard library: Tryton's own
environment reads it, too."""

from __future__ import annotations

import os
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def spent(postmaster: int) -> float:
    """So far, of this process, of the server and of all its processes, those that have ended included."""
    return time.process_time() + sum(_ticks(pid, postmaster) for pid in _pids()) / TICKS


def postmaster(folder: str) -> int:
    """The server's first process, by the folder in which it was started (tests.connector.servers)."""
    return int((Path(folder) / "data" / "postmaster.pid").read_text().splitlines()[0])


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _ticks(pid: int, postmaster: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0  # it has ended
    own, ended = int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])
    if pid == postmaster:
        return own + ended
    return own if int(fields[1]) == postmaster else 0
