"""The pretend QuickBooks Online v3 REST API, over a company's `Ledger`.

routes → reading (query, cdc) · writes · batch          addresses, request ids, limits; then what each does
entities → sales, lines · receipts · refunds · customers · accounts · terms · company · attachables
                                                        neutral record ↔ QuickBooks's JSON
query · schema · faults · native                        the language, the known properties, the noes, the literals
answers · memory · summaries · printed                  the wire, request ids and meter, reports, PDF
"""

from sandbox.quickbooks.answers import fault_response
from sandbox.quickbooks.routes import blueprint, memory_of

__all__ = ["blueprint", "fault_response", "memory_of"]
