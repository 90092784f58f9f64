"""Every module of the product has its place in the layers of pyproject.toml: a new one is not forgotten.

import-linter sees to this for whole folders only; the folders by topic span several layers.
"""

import re
import tomllib
from pathlib import Path

HOME = Path(__file__).parent.parent
WHOLE = {"commands", "demo", "domain", "migrations", "tables"}


def test_every_module_has_its_layer():
    contracts = tomllib.loads((HOME / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(c["layers"] for c in contracts if c.get("containers") == ["connector"])
    placed = {name for layer in layers for name in re.split(r" [:|] ", layer)}
    modules = {
        ".".join(path.relative_to(HOME / "connector").with_suffix("").parts)
        for path in (HOME / "connector").rglob("*.py")
        if not path.name.startswith("__") and path.relative_to(HOME / "connector").parts[0] not in WHOLE
    }
    assert modules - placed == set()
    assert placed - modules - WHOLE == set()
