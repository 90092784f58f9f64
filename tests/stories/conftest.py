"""One installation and one sandbox for all stories of a module; each story has an organization of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connector import platforms
from tests.stories.lives import APPROVAL, Practice, a_practice


@pytest.fixture(scope="module")
def office_of_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Practice]:
    with a_practice(tmp_path_factory.mktemp("practice")) as practice:
        yield practice


@pytest.fixture
def practice(office_of_module: Practice) -> Practice:
    office_of_module.pass_to(APPROVAL)
    office_of_module.world.faults.clear()
    return office_of_module


@pytest.fixture(params=platforms.names())
def platform(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path
