"""One command for everything: started together, restarted when it ends, gone together."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from rq import Worker

from connector import config, db, embedded, waking
from connector.config import WrongSetting
from connector.supervisor import Child, Installation, web_command
from tests.connector.servers import alive

ROOT = Path(__file__).parents[2]


def environment(folder: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("FORBEAR_")}
    return {**kept, "FORBEAR_DATA_DIR": str(folder), "PYTHONPATH": str(ROOT)}


def until(what: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)


def test_everything_starts_comes_back_and_ends_together(tmp_path: Path) -> None:
    env = environment(tmp_path)
    settings = config.load(env)
    with Installation(settings, web=False, environment=env) as running:
        assert db.is_migrated(db.engine(settings))
        first = running.processes()
        assert set(first) == {"queue", "worker-0", "clock"}
        embedded.redis(settings).set("kept", "yes")
        # Somewhere on its way to the first job a worker may end without its queue, and be started again.
        until(lambda: [w.get_state() for w in Worker.all(queue=waking.queue(settings))] == ["idle"])
        for name in ("queue", "clock"):
            os.kill(first[name], signal.SIGKILL)
        until(lambda: not alive(first["queue"]) and not alive(first["clock"]))

        def back() -> bool:
            running.look()
            return set(running.processes()) == {"queue", "worker-0", "clock"}

        until(back)
        embedded.wait_until_ready(settings)
        assert embedded.redis(settings).get("kept") == b"yes"
        second = running.processes()
        assert second["worker-0"] == first["worker-0"]
        assert second["queue"] != first["queue"]
    assert not [pid for pid in {*first.values(), *second.values()} if alive(pid)]
    assert running.processes() == {}


def test_two_on_one_data_folder_are_refused(tmp_path: Path) -> None:
    env = environment(tmp_path)
    settings = config.load(env)
    with Installation(settings, web=False, workers=0, environment=env):
        second = Installation(settings, web=False, workers=0, environment=env)
        with pytest.raises(WrongSetting, match="already running"):
            second.start()
        assert embedded.redis(settings).ping()


def _up(folder: Path) -> "subprocess.Popen[str]":
    code = (
        "from connector import config, supervisor\n"
        "with supervisor._stop_signal() as stop, supervisor.Installation(config.load(), web=False) as running:\n"
        "    print(*running.processes().values(), flush=True)\n"
        "    stop.wait()\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code], env=environment(folder), stdout=subprocess.PIPE, text=True
    )


def _children(process: "subprocess.Popen[str]") -> list[int]:
    assert process.stdout is not None
    pids = [int(pid) for pid in process.stdout.readline().split()]
    process.stdout.close()
    assert len(pids) == 3
    return pids


def test_sigterm_ends_everything(tmp_path: Path) -> None:
    process = _up(tmp_path)
    pids = _children(process)
    process.terminate()
    assert process.wait(120) == 0
    assert not [pid for pid in pids if alive(pid)]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with a killed parent")
def test_a_killed_supervisor_leaves_no_orphan(tmp_path: Path) -> None:
    process = _up(tmp_path)
    pids = _children(process)
    process.kill()
    process.wait()
    until(lambda: not [pid for pid in pids if alive(pid)])


def test_a_child_that_fails_at_once_is_started_less_and_less_often() -> None:
    child = Child("bad", [sys.executable, "-c", "raise SystemExit(3)"])
    child.look()
    for _ in range(2):
        assert child.process is not None
        child.process.wait()
        child.look()
        assert child.process is None
        child.not_before = 0
        child.look()
    assert child.process is not None
    child.process.wait()
    before = time.monotonic()
    child.look()
    assert child.not_before - before > 3
    child.end(1)


def test_a_child_that_does_not_end_is_killed() -> None:
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    child = Child("stubborn", [sys.executable, "-c", stubborn])
    child.start()
    assert child.process is not None
    pid = child.process.pid
    time.sleep(0.3)
    child.ask_to_end()
    child.end(0.2)
    assert not alive(pid)


def test_the_web_listens_to_this_machine_only_unless_it_has_a_public_address() -> None:
    at_home = config.load({"PORT": "8123"})
    assert "127.0.0.1:8123" in web_command(at_home)
    public = config.load({"PORT": "8123", "FORBEAR_PUBLIC_URL": "https://books.example.org"})
    assert "0.0.0.0:8123" in web_command(public)
    https = {"PORT": "8123", "FORBEAR_PUBLIC_URL": "https://books.example.org"}
    for listen, bound in (("127.0.0.1", "127.0.0.1:8123"), ("::1", "[::1]:8123")):
        assert bound in web_command(config.load({**https, "FORBEAR_LISTEN": listen}))
