"""An organisation's own facts in Xero's words: name, country, time zone, tax basis, lock dates, plan."""

from __future__ import annotations

TIME_ZONES = {
    "Africa/Johannesburg": "SOUTHAFRICASTANDARDTIME",
    "America/Chicago": "CENTRALSTANDARDTIME",
    "America/Denver": "MOUNTAINSTANDARDTIME",
    "America/Los_Angeles": "PACIFICSTANDARDTIME",
    "America/New_York": "EASTERNSTANDARDTIME",
    "America/Sao_Paulo": "ESOUTHAMERICASTANDARDTIME",
    "America/Toronto": "EASTERNSTANDARDTIME",
    "America/Vancouver": "PACIFICSTANDARDTIME",
    "Asia/Hong_Kong": "CHINASTANDARDTIME",
    "Asia/Kolkata": "INDIASTANDARDTIME",
    "Asia/Singapore": "SINGAPORESTANDARDTIME",
    "Asia/Tokyo": "TOKYOSTANDARDTIME",
    "Australia/Adelaide": "CENAUSTRALIASTANDARDTIME",
    "Australia/Brisbane": "EAUSTRALIASTANDARDTIME",
    "Australia/Melbourne": "AUSEASTERNSTANDARDTIME",
    "Australia/Perth": "WAUSTRALIASTANDARDTIME",
    "Australia/Sydney": "AUSEASTERNSTANDARDTIME",
    "Europe/Amsterdam": "WEUROPESTANDARDTIME",
    "Europe/Berlin": "WEUROPESTANDARDTIME",
    "Europe/Dublin": "GMTSTANDARDTIME",
    "Europe/London": "GMTSTANDARDTIME",
    "Europe/Madrid": "ROMANCESTANDARDTIME",
    "Europe/Paris": "ROMANCESTANDARDTIME",
    "Europe/Rome": "WEUROPESTANDARDTIME",
    "Pacific/Auckland": "NEWZEALANDSTANDARDTIME",
    "UTC": "UTC",
}
VERSIONS = {"AU": "AU", "NZ": "NZ", "GB": "UK", "US": "US"}
TAX_BASES = {
    # what the books say -> (Xero's word by country, elsewhere)
    "cash": {"AU": "CASH", "NZ": "PAYMENTS", "GB": "CASH", "US": "CASH"},
    "accrual": {"AU": "ACCRUALS", "NZ": "INVOICE", "GB": "ACCRUAL", "US": "ACCRUAL"},
}
