"""The product: judges receivables, plans installments, and writes them back safely.

The way of the data, by folder: mirroring → reviewing → planning, contact → writing; docs/architecture.md names the files.
`domain/` is pure rules; `platforms.py` is the port to the ledgers; `jobs.py` wakes the steps.
"""
