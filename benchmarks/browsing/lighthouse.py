"""Lighthouse itself, when this machine has Node: its scores, not an imitation of them.

`LIGHTHOUSE` names its command line; otherwise the one on the path, otherwise npm brings the pinned version into
the user's cache (`apt-get install nodejs npm` on Debian 12 is enough). Nowhere to be had: every score is None.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
from pathlib import Path

VERSION = "12.8.2"  # the last line that runs on Debian's Node 18
CATEGORIES = ("performance", "accessibility", "best-practices")
ROUNDS = 3
Scores = dict[str, float | None]


def scores(url: str, cookie: str, chromium: str) -> Scores:
    """The middle of some rounds on one page, as a phone: 0 to 100 by category."""
    command = _command()
    if command is None:
        print("  Lighthouse: not on this machine (it needs Node and npm), so its figures are null.")
        return dict.fromkeys(CATEGORIES)
    found: dict[str, list[float]] = {c: [] for c in CATEGORIES}
    for _ in range(ROUNDS):
        for category, score in _once(command, url, cookie, chromium).items():
            found[category].append(score)
    return {c: statistics.median(values) if values else None for c, values in found.items()}


def _once(command: list[str], url: str, cookie: str, chromium: str) -> dict[str, float]:
    answer = subprocess.run(
        [
            *command, url, "--quiet", "--output=json", f"--only-categories={','.join(CATEGORIES)}",
            "--chrome-flags=--headless=new --no-sandbox --disable-dev-shm-usage",
            "--extra-headers=" + json.dumps({"Cookie": cookie}),
        ],
        env={**os.environ, "CHROME_PATH": chromium},
        capture_output=True,
        text=True,
        timeout=180,
    )  # fmt: skip
    if answer.returncode:
        print(f"  Lighthouse failed: {answer.stderr.strip()[-300:]}")
        return {}
    report = json.loads(answer.stdout)
    assert report["finalDisplayedUrl"] == url, f"Lighthouse was sent on to {report['finalDisplayedUrl']}"
    for audit in report["audits"].values():
        if audit["scoreDisplayMode"] in ("binary", "metricSavings") and audit["score"] not in (None, 1):
            print(f"    {audit['id']}: {audit['title']} {audit.get('displayValue', '')}")
    return {c: round(100 * report["categories"][c]["score"], 1) for c in CATEGORIES}


def _command() -> list[str] | None:
    if named := os.environ.get("LIGHTHOUSE"):
        return [named]
    if found := shutil.which("lighthouse"):
        return [found]
    if not (shutil.which("npm") and shutil.which("node")):
        return None
    cache = (
        Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "forbear" / f"lighthouse-{VERSION}"
    )
    program = cache / "node_modules" / ".bin" / "lighthouse"
    if not program.exists():
        cache.mkdir(parents=True, exist_ok=True)
        install = [
            "npm",
            "install",
            "--no-audit",
            "--no-fund",
            "--prefix",
            str(cache),
            f"lighthouse@{VERSION}",
        ]
        if subprocess.run(install, capture_output=True, timeout=300).returncode or not program.exists():
            return None
    return [str(program)]
