"""What the source of a package is today: whoever changes a rule need not remember to say so."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

from connector.domain import words


@cache
def of_source(package: str) -> str:
    """A short fingerprint of all Python files and word lists of a package and the packages in it."""
    digest = hashlib.sha256()
    _add(digest, resources.files(package))
    for name in words.added() if words.__name__.startswith(package) else ():
        digest.update(f"{name}{words.read(name)}".encode())
    return digest.hexdigest()[:16]


def _add(digest: hashlib._Hash, folder: Traversable) -> None:
    for file in sorted(folder.iterdir(), key=lambda f: f.name):
        if file.is_dir() and file.name != "__pycache__":
            _add(digest, file)
        elif file.name.endswith((".py", ".toml")):
            digest.update(file.name.encode() + file.read_bytes())
