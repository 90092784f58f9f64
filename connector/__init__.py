"""The product: judges receivables, plans installments, and writes them back safely.

The way of the data, by file name:
inbox → sync → books → review → (domain) → plans, reminders → outbox → writeback.
`domain/` is pure rules; `platforms.py` is the port to the ledgers; `jobs.py` wakes the steps.
"""
