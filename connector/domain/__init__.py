"""Pure rules: no clock, no I/O, no database. Every function takes what it needs, `today` included.

Facts        money, receivables, on_account, calendar, regions (law as data), policy and page_policy (settings)
Judging      findings, assessment, prediction, expected, aging, promises, trifles; glance (a whole book), stillness
Planning     paying → propose → plan, installments (mathematics), rails (sound?), refusals (allowed, in which mode?),
             alternatives, offers (to the customer), terms, late_interest and charges
Writing      plan_words, plan_writes → writes (decisions as data); agreement, demand
Proving      proof (documents and accounts), progress (money matched to installments)
Reminding    dunning (which level, and what holds it), reminder_words, letters, page_words; words/ holds the texts
Wording      wording (the check) over wording_text, _tone, _facts, _look, _context; free_words
Storing      codec (any of these records as plain JSON), fingerprint (of the rules themselves); shares (honest ranges)
"""
