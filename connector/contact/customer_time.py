"""The customer's own time: a message leaves at an hour that is decent where it is read.

The ledgers tell a customer's country, not the town. In the organization's country its own zone counts; of a
country with several zones the one where most people live.
"""

from __future__ import annotations

import datetime as dt
from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo

from connector.connecting import connections

AROUND = 30  # minutes

# Countries in more than one zone → where most of their people live.
_MAIN = {
    "AR": "America/Argentina/Buenos_Aires",
    "AU": "Australia/Sydney",
    "BR": "America/Sao_Paulo",
    "CA": "America/Toronto",
    "CL": "America/Santiago",
    "CN": "Asia/Shanghai",
    "CY": "Asia/Nicosia",
    "DE": "Europe/Berlin",
    "EC": "America/Guayaquil",
    "ES": "Europe/Madrid",
    "ID": "Asia/Jakarta",
    "KZ": "Asia/Almaty",
    "MX": "America/Mexico_City",
    "MY": "Asia/Kuala_Lumpur",
    "NZ": "Pacific/Auckland",
    "PT": "Europe/Lisbon",
    "RU": "Europe/Moscow",
    "UA": "Europe/Kyiv",
    "US": "America/New_York",
}


@cache
def _zones() -> dict[str, str]:
    """Country → its only zone, from the time zone database."""
    table = resources.files("tzdata").joinpath("zoneinfo/zone.tab").read_text("utf-8")
    found: dict[str, list[str]] = {}
    for line in table.splitlines():
        if line and not line.startswith("#"):
            country, _, name, *_ = line.split("\t")
            found.setdefault(country, []).append(name)
    return {country: names[0] for country, names in found.items()} | _MAIN


def zone_of(country: str, home_country: str, home_zone: str) -> ZoneInfo:
    """The zone for a customer in `country` of an organization at home in `home_country` and `home_zone`."""
    code = country.upper().partition("-")[0]
    if not code or code == home_country.upper().partition("-")[0]:
        return connections.zone(home_zone)
    return connections.zone(_zones().get(code, home_zone))


def local(
    now: dt.datetime, today: dt.date, home: ZoneInfo, theirs: ZoneInfo, pretend_hour: int
) -> dt.datetime:
    """The customer's own time. On a pretend day (`today` is not the real one) it is `pretend_hour` there.

    A day that ended or began within these minutes is real: around midnight one clock is read before the other, and a
    job goes on.
    """
    around = {
        (now + dt.timedelta(minutes=minutes)).astimezone(home).date() for minutes in (-AROUND, 0, AROUND)
    }
    if today in around:
        return now.astimezone(theirs)
    return dt.datetime.combine(today, dt.time(pretend_hour), theirs)
