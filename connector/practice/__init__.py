"""The firm: its people and their roles, and what they decided for each organization."""
