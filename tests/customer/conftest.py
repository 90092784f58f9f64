"""One installation with its pages and one sandbox for all tests of a module; each test has a client of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from connector import platforms
from tests.customer.desk import TODAY, Desk
from tests.stories.lives import a_practice


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with a_practice(tmp_path_factory.mktemp("customers"), TODAY) as practice:
        practice.settings = replace(practice.settings, today=TODAY)
        yield Desk(practice)


@pytest.fixture(params=platforms.names())
def platform(request: pytest.FixtureRequest) -> str:
    return str(request.param)
