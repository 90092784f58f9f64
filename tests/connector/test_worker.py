"""What a worker has ready before it forks."""

from __future__ import annotations

from connector import worker
from connector.domain import wording_tone


def test_forked_jobs_find_the_patterns_of_every_language_compiled() -> None:
    worker.warm()
    before = wording_tone.tone.cache_info()
    for language in wording_tone.languages():
        wording_tone.tone(language)
    assert wording_tone.tone.cache_info().misses == before.misses
    assert before.currsize >= 4
