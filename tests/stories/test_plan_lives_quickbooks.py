"""Random lives of plans on QuickBooks; see `random_lives`."""

from pathlib import Path

import pytest

from tests.stories.random_lives import assert_lives_hold


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_whatever_happens_the_books_hold(tmp_path: Path) -> None:
    assert_lives_hold(tmp_path, "quickbooks")
