"""QuickBooks Online. Behavior, sources and doubts: docs/platforms/quickbooks.md.

platform.py    consent, tokens, opening a company         transport.py   the SDK, metered, with time limits
reading.py     every question of the port                 ledger.py      every write of it
faults.py      every no → one of four errors
pull.py        what changed, in as few calls as can be    rows.py        pages without gaps
translate.py, facts.py, settlement.py   their records → ours          bodies.py   ours → theirs
clearing.py    the account and item that plans post to    retry_key.py   retry keys
"""

from adapters.quickbooks.platform import platform

__all__ = ["platform"]
