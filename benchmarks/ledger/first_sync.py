"""One first sync of one company in a process of its own, so that its CPU time and peak memory are its own.

`python -m benchmarks.ledger.first_sync PLATFORM COMPANY`, with the product's settings in the environment:
connects as a browser would, pulls everything, prints one JSON object.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from benchmarks.ledger.consent import consent
from connector import config, db
from connector.connecting import connections
from connector.mirroring.sync import sync


def main(platform: str, company: str) -> None:
    settings = config.load()
    db.migrate(settings)
    engine = db.engine(settings)
    grant = consent(settings, platform, company)
    saved = connections.save_grant(engine, settings, platform, grant)
    [id] = [c.id for c in saved if c.external_id == company]
    began, cpu = time.perf_counter(), time.process_time()
    done = sync(engine, settings, id)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    assert done is not None
    assert done.set_aside == 0
    records = {kind.value: n for kind, n in done.records.items()}
    peak = peak_mb()
    print(
        json.dumps(
            {"connection": id, "records": records, "seconds": seconds, "cpu_seconds": cpu, "peak_mb": peak}
        )
    )


def peak_mb() -> float:
    """The most memory this process has held. getrusage would count what its parent had when it began."""
    status = Path("/proc/self/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main(*sys.argv[1:])
