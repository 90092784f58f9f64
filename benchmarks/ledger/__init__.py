"""What `benchmarks/ledgers.py` is made of: a large company, a replaying server, one first sync, the peers."""
