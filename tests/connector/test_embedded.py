"""The embedded queue server: private, durable, and never an orphan."""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from connector import config, embedded, waking
from tests.connector import servers


def test_the_setting_wins() -> None:
    settings = config.load({"FORBEAR_REDIS_URL": "redis://queue.example:6379/1"})
    assert embedded.address(settings) == "redis://queue.example:6379/1"


def test_what_was_enqueued_survives_a_kill_and_a_folder_with_a_space(tmp_path: Path) -> None:
    folder = tmp_path / "with a space"
    settings = config.load({"FORBEAR_DATA_DIR": str(folder)})
    server = subprocess.Popen(embedded.arguments(settings))
    embedded.wait_until_ready(settings)
    client = embedded.redis(settings)
    client.rpush("jobs", "one")
    assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert client.config_get("port") == {"port": "0"}
    assert stat.S_IMODE(embedded.socket(settings).stat().st_mode) == 0o700
    assert stat.S_IMODE(embedded.socket(settings).parent.stat().st_mode) == 0o700
    server.kill()
    server.wait()
    with servers.valkey(folder):
        assert client.lrange("jobs", 0, -1) == [b"one"]


def test_a_server_that_hangs_costs_whoever_wakes_a_job_less_than_a_ledger_waits(tmp_path: Path) -> None:
    with servers.valkey(tmp_path):
        settings = config.load({"FORBEAR_DATA_DIR": str(tmp_path)})
        server = int(embedded.redis(settings).info("server")["process_id"])
        os.kill(server, signal.SIGSTOP)
        try:
            began = time.monotonic()
            waking.for_news(settings, ["c1"])
            assert (
                time.monotonic() - began < 20
            )  # 2 s of waiting; before, half a minute for each of several calls
            assert waking.backlog(settings) is None
        finally:
            os.kill(server, signal.SIGCONT)
        waking.for_news(settings, ["c1"])
        assert waking.queue(settings).count == 1


def test_a_long_path_gets_a_short_private_socket(tmp_path: Path) -> None:
    settings = config.load({"FORBEAR_DATA_DIR": str(tmp_path / ("deep" * 30))})
    assert len(os.fsencode(embedded.socket(settings))) <= 100
    with servers.valkey(settings.data_dir):
        assert embedded.redis(settings).ping()
        assert stat.S_IMODE(embedded.socket(settings).parent.stat().st_mode) == 0o700


def test_a_server_that_does_not_answer_is_said_in_a_sentence(tmp_path: Path) -> None:
    settings = config.load({"FORBEAR_DATA_DIR": str(tmp_path)})
    with pytest.raises(TimeoutError, match="data folder"):
        embedded.wait_until_ready(settings, seconds=0.2)
    settings = config.load({"FORBEAR_REDIS_URL": f"unix://{tmp_path}/none"})
    with pytest.raises(TimeoutError, match="FORBEAR_REDIS_URL"):
        embedded.wait_until_ready(settings, seconds=0.2)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with a killed parent")
def test_the_server_ends_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    script = (
        "import os, subprocess, sys, time\n"
        "child = 'from connector import config, embedded; embedded.run(config.load())'\n"
        "subprocess.Popen([sys.executable, '-c', child])\n"
        "time.sleep(60)\n"
    )
    env = {**os.environ, "FORBEAR_DATA_DIR": str(tmp_path)}
    parent = subprocess.Popen([sys.executable, "-c", script], env=env)
    settings = config.load({"FORBEAR_DATA_DIR": str(tmp_path)})
    embedded.wait_until_ready(settings)
    server = int(embedded.redis(settings).info("server")["process_id"])
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    for _ in range(600):
        if not servers.alive(server):
            return
        time.sleep(0.05)
    os.kill(server, signal.SIGKILL)
    raise AssertionError("the server outlived its parent")
