"""Asks for the accounts of a token beside something else that the reactor is doing."""

import secrets
from typing import Any

from twisted.internet.defer import Deferred

from bot.config.model import Config
from bot.config.secrets import ClientSecrets
from bot.ctrader.enquiry import Enquiry
from bot.ctrader.granted_accounts import granted_accounts
from bot.net.address import venue_address
from bot.net.client import VenueClient
from bot.net.clock import run_clock
from bot.net.enquirer import Enquirer


def ask_for_accounts(
    reactor: Any, config: Config, client: ClientSecrets, access_token: str, *, patience_s: float
) -> "Deferred[Any]":
    """Return what fires with the `GrantedAccounts` of a token, on a reactor that runs already.

    Raises: EnquiryFailed, through the Deferred, when the venue says no or is not there within `patience_s`.
    """
    host, port = venue_address(config)
    script = granted_accounts(access_token)
    enquiry = Enquiry(script, client.client_id, client.client_secret, f"enquiry-{secrets.token_hex(4)}")
    random = secrets.SystemRandom().random

    def connect(listener: Enquirer) -> VenueClient:
        return VenueClient(reactor, host, port, config.venue.ca_file, listener, jitter=random)

    asked = Enquirer(reactor, enquiry, connect, run_clock(), connect_timeout_s=patience_s, timeout_s=patience_s)
    return asked.start()
