"""Two connections with one account: can both hold it, and what becomes of the first one's session and prices?

How it works: while the first listens, a second conversation logs in to the same account, subscribes to the same prices,
listens a few seconds and ends. Both then know what came to them, and when.
Source: ProtoOAAccountAuthReq; ProtoOAAccountDisconnectEvent, ProtoOAAccountsTokenInvalidatedEvent.
"""

from dataclasses import dataclass, field

from bot.ctrader.account_login import log_in
from bot.ctrader.conversation import Beside
from bot.ctrader.enquiry import EnquiryFailed, EnquiryRefused, Heard, Listen, Script, Timed
from bot.doctor.facts import Facts
from bot.doctor.session_loss import has_session, losses, restore_session

HOLDS, STREAM = "second_connection.holds", "second_connection.first_stream"
TOGETHER_S = 5.0


@dataclass(slots=True)
class SecondView:
    """What the second connection saw. `refusal` is why it was not let in, None when it was."""

    refusal: str | None = None
    logged_in_ns: int | None = None
    spot_count: int = 0
    heard: list[Heard] = field(default_factory=list)
    holds_at_end: bool = False


def second_script(facts: Facts) -> Script[SecondView]:
    """Log in as well, and stay a while."""
    assert facts.account is not None, "the account is chosen first"
    view = SecondView()
    try:
        yield from log_in(facts.account.account_id, facts.access_token)
    except EnquiryRefused as refused:
        view.refusal = f"{refused.code}: {refused.description}" if refused.description else refused.code
        return view
    (answer,) = yield Timed(facts.ask("Trader"))
    view.logged_in_ns = answer.recv_ns
    if facts.specs:
        yield [facts.ask("SubscribeSpots", symbolId=[facts.specs[0].symbol_id])]
    view.heard = yield Listen(TOGETHER_S)
    view.spot_count = sum(1 for one in view.heard if one.message.DESCRIPTOR.name == "ProtoOASpotEvent")
    view.holds_at_end = yield from has_session(facts)
    return view


def measure_second_connection(facts: Facts) -> Script[None]:
    """Open a second connection beside this one and tell which of them holds the account."""
    facts.on_progress("a second connection with the same account")
    facts.hear((yield Listen(0)))
    view: SecondView | EnquiryFailed = yield Beside(second_script(facts))
    heard = yield Listen(0)
    facts.hear(heard)
    holds = yield from has_session(facts)
    lost = losses(heard)
    events = ", ".join(lost) if lost else "no event about it"
    seen = facts.findings.seen
    first = "the first still holds it" if holds else "the first has LOST it"
    if isinstance(view, EnquiryFailed):
        seen(HOLDS, "no second connection", f"the second connection came to nothing: {view.text}; {first}")
    elif view.refusal is not None:
        value = "first only" if holds else "neither"
        seen(HOLDS, value, f"the second was refused ({view.refusal}); {first}, {events}")
    else:
        second = "the second held it" if view.holds_at_end else "the second lost it again"
        value = {(True, True): "both", (False, True): "second only", (True, False): "first only"}.get(
            (holds, view.holds_at_end), "neither"
        )
        seen(HOLDS, value, f"{second}, {first}, {events}")
        tell_stream(facts, view, heard)
    if not holds:
        yield from restore_session(facts)


def tell_stream(facts: Facts, view: SecondView, heard: list[Heard]) -> None:
    """Tell whether the first connection went on getting prices while the second got some."""
    if not facts.specs or view.logged_in_ns is None:
        facts.findings.seen(STREAM, None, "not seen: nothing was subscribed")
        return
    symbol_id, since_ns = facts.specs[0].symbol_id, view.logged_in_ns
    count = sum(
        1
        for one in heard
        if one.recv_ns > since_ns
        and one.message.DESCRIPTOR.name == "ProtoOASpotEvent"
        and one.message.symbolId == symbol_id
    )
    both = f"{count} prices on the first, {view.spot_count} on the second in {TOGETHER_S:.0f} s"
    # The first price of the second connection is the answer to its subscription and says nothing of the market.
    if count:
        facts.findings.seen(STREAM, "kept", f"the first connection's prices went on: {both}")
    elif view.spot_count > 1:
        facts.findings.seen(STREAM, "lost", f"the first connection's prices stopped: {both}")
    else:
        facts.findings.seen(STREAM, None, f"the market did not move: {both}")
