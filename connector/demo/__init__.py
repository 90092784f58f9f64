"""`forbear demo`: the whole job on two pretend ledgers, with nothing to sign up for.

Starts the sandbox and an installation of Forbear in a folder of its own, walks the consent pages as a
bookkeeper's browser would, waits for the books, approves one plan on each ledger, goes live, and compares what
Forbear holds with what the ledgers themselves say. The ledgers' trial balance is the independent witness.

    main.py        starts all of it, tells what came of it, and serves until Ctrl-C
    installing.py  the pretend ledgers and the settings
    journey.py     what a bookkeeper does, and what the ledgers say of it
    waiting.py     stages, and waiting for them
"""
