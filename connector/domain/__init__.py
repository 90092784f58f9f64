"""Pure rules: no clock, no I/O, no database. Every function takes what it needs, `today` included."""
