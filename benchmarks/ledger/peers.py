"""The peers: Singer's taps for both ledgers, from their public packages, in environments of their own.

They extract the same customers, invoices and payments as we do and write JSON lines; they keep no database.
Nothing in this project depends on them.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
import venv
from pathlib import Path
from typing import Any

PACKAGES = {"quickbooks": ["tap-quickbooks==2.5.0"], "xero": ["tap-xero==2.6.0", "six"]}
STREAMS = {
    "quickbooks": ("customers", "invoices", "payments"),
    "xero": ("contacts", "invoices", "payments"),
}
SINCE = "2000-01-01T00:00:00Z"

_PEAK = """
import atexit
def peak():
    [line] = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
    print("peak", line.split()[1], file=sys.stderr)
atexit.register(peak)
"""
_RUN = {
    "quickbooks": """
import os, sys, tap_quickbooks, tap_quickbooks.client as client
os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
client.PROD_ENDPOINT_BASE = sys.argv.pop(1) + "/quickbooks"
tap_quickbooks.main()
""",
    "xero": """
import sys, tap_xero, tap_xero.client as client
client.BASE_URL = sys.argv.pop(1) + "/xero/api.xro/2.0"
def keep(self, config, path):
    self.access_token, self.tenant_id = config["access_token"], config["tenant_id"]
client.XeroClient.refresh_credentials = keep
tap_xero.main()
""",
}


class NoPeer(Exception):
    """A peer could not be installed or run; `str()` says why."""


def install(folder: Path, platform: str) -> Path:
    """The Python of the peer's own environment, made when it is not there yet."""
    home = folder / platform
    python = home / "bin" / "python"
    done = home / ".complete"
    if not done.exists():
        venv.create(home, with_pip=True, clear=True)
        command = [
            str(python),
            "-m",
            "pip",
            "install",
            "-q",
            "--disable-pip-version-check",
            *PACKAGES[platform],
        ]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        if made.returncode:
            raise NoPeer(made.stderr.strip().splitlines()[-1] if made.stderr else "pip failed")
        done.touch()
    return python


def run(python: Path, platform: str, url: str, company: str, token: str, work: Path) -> dict[str, Any]:
    """One extraction of everything: {"records", "seconds", "cpu_seconds", "peak_mb"}. Raises NoPeer."""
    work.mkdir(parents=True, exist_ok=True)
    settings = work / "settings.json"
    shared = {
        "start_date": SINCE,
        "user_agent": "benchmark",
        "client_id": "sandbox-app",
        "client_secret": "sandbox-secret",
        "refresh_token": "unused",
        "access_token": token,
    }
    place = {"realm_id": company} if platform == "quickbooks" else {"tenant_id": company}
    settings.write_text(json.dumps(shared | place))
    script = f"import sys\n{_PEAK}{_RUN[platform]}"
    start = [str(python), "-c", script, url, "-c", str(settings)]
    more = ["--dev"] if platform == "quickbooks" else []
    found = subprocess.run([*start, *more, "--discover"], capture_output=True, text=True, check=False)
    if found.returncode:
        raise NoPeer(_last(found.stderr))
    catalog = json.loads(found.stdout)
    catalog["streams"] = [s for s in catalog["streams"] if s["tap_stream_id"] in STREAMS[platform]]
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            entry["metadata"]["selected"] = True
    (work / "catalog.json").write_text(json.dumps(catalog))
    out, said = work / "out.jsonl", work / "log.txt"
    began = time.perf_counter()
    with out.open("wb") as lines, said.open("wb") as log:
        command = [*start, *more, "--catalog", str(work / "catalog.json")]
        running = subprocess.Popen(command, stdout=lines, stderr=log)
        _, status, used = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - began
    if running.returncode:
        raise NoPeer(_last(said.read_text(errors="replace")))
    records: dict[str, int] = dict.fromkeys(STREAMS[platform], 0)
    with out.open() as lines_again:
        for line in lines_again:
            message = json.loads(line)
            if message["type"] == "RECORD":
                records[message["stream"]] += 1
    out.unlink()
    return {
        "records": records,
        "seconds": seconds,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "peak_mb": int(_last(said.read_text(errors="replace")).removeprefix("peak ")) / 1024,
    }


def _last(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it said nothing"
