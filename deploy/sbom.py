"""A bill of materials of what is installed, from the lock file: CycloneDX 1.5 JSON on standard output. No network.

python deploy/sbom.py [requirements.lock] > sbom.json
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def components(lock: str) -> list[dict[str, object]]:
    """Each pinned package with the digests of its files. A requirement without a pin is a mistake in the lock."""
    found: list[dict[str, object]] = []
    for block in re.split(r"\n(?=[A-Za-z0-9])", re.sub(r"(?m)^\s*#.*\n?", "", lock).strip()):
        named = re.match(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", block)
        if named is None:
            raise ValueError(f"not pinned: {block.splitlines()[0]}")
        name, version = named[1].lower(), named[2]
        digests = re.findall(r"--hash=sha256:([0-9a-f]{64})", block)
        found.append(
            {
                "type": "library", "name": name, "version": version, "purl": f"pkg:pypi/{name}@{version}",
                "hashes": [{"alg": "SHA-256", "content": digest} for digest in digests],
            }
        )  # fmt: skip
    return found


def bill(lock: Path) -> dict[str, object]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    ours = {"type": "application", "name": project["name"], "version": project["version"]}
    return {
        "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "metadata": {"component": ours},
        "components": components(lock.read_text()),
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(bill(Path(sys.argv[1]) if sys.argv[1:] else ROOT / "requirements.lock"), indent=1))
