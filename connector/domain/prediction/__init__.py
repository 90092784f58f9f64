"""When will this invoice be paid? Learned inside one organization's own books, with numpy and nothing else.

`history` turns invoices and settlements into columns; `features` says what was known on a day; `boosting` is
the small learner; `model` fits and answers; `outlook` puts the answers into records.
"""
