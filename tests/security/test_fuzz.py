"""Bytes and values that nobody meant: an answer, never an error. `make bench NAME=scale` tries tens of thousands."""

from __future__ import annotations

import pytest

from benchmarks.scaling import fuzz


def test_no_request_and_no_file_ends_in_an_error(monkeypatch: pytest.MonkeyPatch, capsys: object) -> None:
    monkeypatch.setenv("FORBEAR_DATA_DIR", "")  # the fuzz sets its own, and leaves no trace
    assert fuzz.requests(360) == {"fuzz_cases": 360, "fuzz_5xx": 0}
