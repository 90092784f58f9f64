"""Installment plans from the first draft to the last installment: the records, the changes, the agreement."""
