"""Xero, on xero-python. The entry point of pyproject.toml names `platform`."""

from adapters.xero.platform import Xero
from connector.config import Config
from connector.platforms import Platform


def platform(config: Config) -> Platform:
    """Xero as this installation is set up to reach it."""
    return Xero(config)
