"""STEP 3: what was approved goes into the ledger: intent first, each write once in effect, read back, undone."""
