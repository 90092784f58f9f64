"""The demo's stages in words, and waiting for them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests

from connector.supervisor import Installation

PATIENCE = 600  # seconds that one stage may take before the demo gives up


class DemoFailed(Exception):
    """The demo could not go on; `str()` says where it stood and what to do."""


@dataclass
class Stage:
    """Progress in words, and how long each part took."""

    quiet: bool
    seconds: dict[str, float] = field(default_factory=dict)

    def say(self, text: str) -> None:
        print(text, file=sys.stderr if self.quiet else sys.stdout, flush=True)

    @contextmanager
    def of(self, name: str, text: str) -> Iterator[None]:
        self.say(text)
        began = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - began, 2)


def until(
    done: Callable[[], bool],
    what: str,
    installation: Installation,
    *,
    patience: float = PATIENCE,
    give_up: bool = True,
) -> None:
    """Look after the processes meanwhile. Raises DemoFailed after `patience` seconds, unless it should not `give_up`."""
    deadline = time.monotonic() + patience
    while not done():
        if time.monotonic() > deadline and not give_up:
            return
        if time.monotonic() > deadline:
            raise DemoFailed(f"Waited {PATIENCE} seconds for {what}. Run `forbear doctor`, then try again.")
        installation.look()
        time.sleep(0.1)


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).ok
    except requests.RequestException:
        return False


def get(url: str) -> Any:
    answer = requests.get(url, timeout=120)
    answer.raise_for_status()
    return answer.json()
