"""When will this invoice be paid? From one organization's own books, with numpy and nothing else.

`history` turns invoices and settlements into columns; `timeline` says what had happened by a day; `book` what all
customers show together; `alike` replays each past outcome of a customer on the due date asked about; `record`
says how right that was over the last year; `model` answers; `outlook` puts the answers into records.
"""
