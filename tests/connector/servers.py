"""A private PostgreSQL cluster and a private Valkey, for the length of a test run; ports and processes."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from connector import config, embedded


def free_port() -> int:
    """A port below those that the system hands out by itself: until we listen, no connection of anybody takes it."""
    for port in random.sample(range(20_000, 32_000), 50):
        with socket.socket() as trial:
            try:
                trial.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("fifty ports, and none of them free")


def answers(url: str) -> bool:
    """Whether somebody serves this address, and well."""
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and that nobody asked about does not. It may end while we look."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def postgres_binaries() -> Path | None:
    """Debian's folder of the newest server, or wherever `initdb` is found."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if folders:
        return folders[-1]
    found = shutil.which("initdb")
    return Path(found).parent if found else None


@contextmanager
def postgres() -> Iterator[str]:
    """The address of a fresh server that only this process can reach; skips where there is none."""
    binaries = postgres_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server on this machine")
    as_user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    folder = Path(tempfile.mkdtemp(prefix="forbear-pg-"))
    if as_user:
        shutil.chown(folder, "postgres")
    data = folder / "data"

    def run(*command: str) -> None:
        subprocess.run([*as_user, *command], check=True, capture_output=True, cwd=folder)

    try:
        run(
            str(binaries / "initdb"),
            "-D",
            str(data),
            "-A",
            "trust",
            "-U",
            "forbear",
            "-E",
            "UTF8",
            "--no-sync",
        )
        options = f"-k {folder} -c listen_addresses='' -c fsync=off -c max_connections=60"
        run(
            str(binaries / "pg_ctl"), "-D", str(data), "-w", "-l", str(folder / "log"), "-o", options, "start"
        )
        try:
            yield f"postgresql://forbear@/postgres?host={folder}"
        finally:
            run(str(binaries / "pg_ctl"), "-D", str(data), "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def valkey(folder: Path) -> Iterator[str]:
    """The address of a fresh embedded queue server, as the product starts it."""
    settings = config.load({"FORBEAR_DATA_DIR": str(folder)})
    server = subprocess.Popen(embedded.arguments(settings))
    try:
        embedded.wait_until_ready(settings)
        yield embedded.address(settings)
    finally:
        server.terminate()
        server.wait(60)
