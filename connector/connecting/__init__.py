"""Connected organizations: permissions kept fresh and encrypted, and what their ledger calls may cost."""
