"""STEP 1: pull what changed from a ledger into the books, our mirror of it, and prove that it is complete."""
