"""Where a venue listens: the environment's own host and port, or those of the config."""

from bot.config import Config

HOSTS = {"demo": "demo.ctraderapi.com", "live": "live.ctraderapi.com", "simulator": "localhost"}
PORT = 5035
"""Protobuf over TLS. Source: cTrader Open API, "Proxies and endpoints"."""


def venue_address(config: Config) -> tuple[str, int]:
    """Return (host, port) of the venue that a config names."""
    return config.venue.host or HOSTS[config.venue.environment], config.venue.port or PORT
