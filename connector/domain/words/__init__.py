"""Words as data: `tone.<language>.toml` is what no message may say, `letters.<variant>.toml` what ours say, and
`page.<variant>.toml` the customer's own page.

A language is added by adding its files, here or in the folder that FORBEAR_WORDS names; no code changes. A file in that
folder adds a language and never takes the place of one of ours: nobody weakens the check by a file.
"""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

FOLDER = "FORBEAR_WORDS"


def read(name: str) -> str:
    """The text of a file of words. Raises FileNotFoundError."""
    shipped = resources.files(__name__).joinpath(name)
    if shipped.is_file():
        return shipped.read_text("utf-8")
    if name in added():
        return (Path(os.environ[FOLDER]) / name).read_text("utf-8")
    raise FileNotFoundError(name)


def names() -> list[str]:
    """Every file of words, ours and the added ones."""
    ours = {file.name for file in resources.files(__name__).iterdir() if file.name.endswith(".toml")}
    return sorted({*ours, *added()})


def added() -> list[str]:
    """The files of the operator's own folder; [] without one."""
    folder = os.environ.get(FOLDER, "")
    return sorted(file.name for file in Path(folder).glob("*.toml")) if folder else []
