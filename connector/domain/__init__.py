"""Pure rules: no clock, no I/O, no database. Every function takes what it needs, `today` included.

Facts        money, receivables, calendar, regions (law as data), policy (the bookkeeper's settings)
Judging      aging, findings
Planning     propose → plan, installments (mathematics), rails (sound?), refusals (allowed, in which mode?)
Writing      plan_words, plan_writes → writes (decisions as data); agreement
Proving      proof (documents and accounts), progress (money matched to installments)
Reminding    dunning (which level, and what holds it), reminder_words
Storing      codec (any of these records as plain JSON)
"""
