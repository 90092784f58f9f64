"""One worker process: our own entry, because `rq worker` cannot be told to look after lost jobs quickly.

One queue per process (two lose jobs), short heartbeats, so that the jobs of a killed machine are back in
minutes; JSON, so that whoever can write to the queue cannot run code; the ledgers' SDKs imported once, before
forking (a job would pay half a second for them).
"""

from __future__ import annotations

import gc
import logging
import signal
from typing import Any

from rq import Worker
from rq.serializers import JSONSerializer

from connector import embedded, jobs, platforms
from connector.config import Config

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 30
MONITORING_SECONDS = 5
MAINTENANCE_SECONDS = 10


class JobWorker(Worker):
    """RQ's forking worker, whose work horse ends with it: an orphan would work beside its successor."""

    def main_work_horse(self, *job_and_queue: Any) -> None:
        embedded.die_with_parent(signal.SIGKILL)
        super().main_work_horse(*job_and_queue)


def main(config: Config, *, burst: bool = False) -> int:
    """Work until SIGTERM (the job under way is finished first); `burst` ends when the queue is empty."""
    embedded.wait_until_ready(config)
    for name in platforms.names():
        platforms.find(name, config)
    gc.collect()
    gc.freeze()  # what is loaded now is shared with the forked jobs for good
    worker = JobWorker(
        [jobs.queue(config)],
        connection=embedded.redis(config),
        serializer=JSONSerializer,
        worker_ttl=HEARTBEAT_SECONDS,
        job_monitoring_interval=MONITORING_SECONDS,
        maintenance_interval=MAINTENANCE_SECONDS,
    )
    worker.work(burst=burst, logging_level="WARNING")
    return 0
