"""Whether this connection still holds the account, by which events it was told, and how it gets it back."""

from bot.ctrader.account_login import log_in
from bot.ctrader.enquiry import EnquiryRefused, Heard, Script
from bot.doctor.facts import Facts

EVENTS = {
    "ProtoOAAccountsTokenInvalidatedEvent": "AccountsTokenInvalidatedEvent (2147)",
    "ProtoOAClientDisconnectEvent": "ClientDisconnectEvent (2148)",
    "ProtoOAAccountDisconnectEvent": "AccountDisconnectEvent (2164)",
}


def losses(heard: list[Heard]) -> list[str]:
    """Return the events about lost sessions, in words, each kind once."""
    names = [one.message.DESCRIPTOR.name for one in heard]
    return list(dict.fromkeys(EVENTS[name] for name in names if name in EVENTS))


def has_session(facts: Facts) -> Script[bool]:
    """Ask something cheap of the account; return whether it is answered."""
    (reply,) = yield [facts.ask("Trader")]
    return not isinstance(reply, EnquiryRefused)


def restore_session(facts: Facts) -> Script[None]:
    """Log in again on this connection, and subscribe again; what comes of it is a check."""
    assert facts.account is not None, "the account is chosen first"
    try:
        yield from log_in(facts.account.account_id, facts.access_token)
    except EnquiryRefused as refused:
        facts.findings.check("session_restored", "warn", f"the account's session is gone: {refused}", refused.code)
        return
    facts.findings.check("session_restored", "ok", "the account's session is open again")
    if facts.specs:
        yield [
            facts.ask("SubscribeSpots", symbolId=list(facts.catalogue.subscribed_ids), subscribeToSpotTimestamp=True),
            facts.ask("SubscribeDepthQuotes", symbolId=[spec.symbol_id for spec in facts.specs]),
        ]
