"""A pretend QuickBooks Online and a pretend Xero over HTTP, over one double-entry ledger. Imports no product code.

documents → ledger → posting → reports      one company's books, as a bookkeeper knows them
books, sample                               where companies come from: a books/1 file, our own invention
world                                       the companies, the clock, the faults; what a request may reach
quickbooks/, xero/                          the native REST faces
oauth, delivery                             consent and tokens; signed webhooks
server, control, acts, pages/               one process, one port; JSON control; a small page per company
"""
