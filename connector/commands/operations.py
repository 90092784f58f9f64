"""Is the installation well?"""

from __future__ import annotations

import argparse
import json

from connector.commands import shell


def add(commands: shell.Commands) -> None:
    doctor = shell.command(commands, "doctor", _doctor, "check the installation and say what to do")
    doctor.add_argument("--json", action="store_true")
    doctor.add_argument("--new-key", action="store_true", help="print a new key for FORBEAR_TOKEN_KEYS")


def _doctor(options: argparse.Namespace) -> int:
    from connector import doctor

    if options.new_key:
        from cryptography.fernet import Fernet

        print(Fernet.generate_key().decode())
        return 0
    checks = doctor.examine()
    if options.json:
        print(
            json.dumps([{"name": c.name, "state": c.state, "sentence": c.sentence} for c in checks], indent=1)
        )
    else:
        for check in checks:
            print(f"{check.state:>5}  {check.name}: {check.sentence}")
    return 1 if any(c.state == doctor.WRONG for c in checks) else 0
