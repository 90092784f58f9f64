"""Every table, by topic. Callers reach them through `connector.db`, as `db.invoices`.

Two kinds of data, never mixed in a table. BOOKS (`tables.books`) are our mirror of a ledger: disposable,
rebuilt by a full sync. Everything else is OURS and precious. Amounts are whole minor units beside a currency.
Dates are calendar dates in the organization's zone; moments are UTC. JSON columns hold plain JSON (dates as
ISO text).
"""
