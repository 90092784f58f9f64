"""Contact with customers: reminders and what holds them, promises, disputes, fees, letters, evidence."""
