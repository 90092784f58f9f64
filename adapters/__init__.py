"""The ledgers that Forbear speaks to: one folder each, and nothing shared but the sign-in (`oauth`).

An adapter promises the port (`connector.platforms`): a Platform, a Ledger, and only the four errors.

    platform.py    consent, tokens, opening one organization's books
    reading.py     each question of the port                 pull.py     what changed, in as few calls as can be
    ledger.py      each write of the port                    clearing.py the account that plans post to
    translate.py   pure: the ledger's records to ours        bodies.py   pure: our drafts to theirs
    faults.py      every way this ledger says no → one of the four errors
    transport.py   the SDK as transport: time limits, metering, one renewal after a 401, no hidden retry

To add a ledger: write such a folder, add one line to pyproject.toml (`connector.platforms`) and a receiver in
`webhooks/`. tests/adapters/test_contract.py then asks it the same questions as the others.
"""
