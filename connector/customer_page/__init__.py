"""The customer's own page: its addresses, what it shows, what is answered there and what follows."""
