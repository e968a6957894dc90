"""Faults that are acts: of the venue on sessions, of the broker on accounts and symbols, of the account's owner.

Each has one function here. They return nothing, or a line that says why nothing happened.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from bot.ctrader.schema import message, payload_type
from bot.market.symbols import Holiday
from bot.sim.entities import Refused
from bot.sim.faults import session_faults as session
from bot.sim.faults import venue_faults as state
from bot.sim.faults.conditions import error_res
from bot.sim.faults.match import Seen
from bot.sim.faults.reply_faults import PartialFill, Reject
from bot.sim.faults.script import Fault, What
from bot.sim.rate_limits import RateRefusal

if TYPE_CHECKING:
    from bot.sim.faults.stage import Stage
    from bot.sim.protocol import Link
    from bot.sim.venue import Venue

_DAY_NS = 86_400_000_000_000


class _Act:
    """What an action needs to know: the fault, whom it strikes, when."""

    def __init__(self, stage: "Stage", fault: Fault, links: "list[Link]", now_ns: int) -> None:
        self.stage, self.fault, self.links, self.now_ns = stage, fault, links, now_ns
        self.venue = stage.venue
        self.what: Any = fault.what

    def accounts(self) -> list[int]:
        known = list(self.venue.desks)
        wanted = self.fault.account_id
        if wanted is not None and wanted not in known:
            raise Refused("NO_ACCOUNT", f"the venue has no account {wanted}")
        return known if wanted is None else [wanted]

    def symbols(self) -> list[int]:
        found = [s for s, spec in self.venue.specs.items() if self.fault.symbol in (None, spec.name)]
        if not found:
            raise Refused("NO_SYMBOL", f"the venue has no symbol {self.fault.symbol}")
        return found

    def sessions(self) -> "Iterator[tuple[Link, int]]":
        for link in self.links:
            for account_id in list(link.requests.accounts):
                if self.fault.account_id in (None, account_id):
                    yield link, account_id

    def afterwards(self, action: Callable[..., None], numbers: list[int], *rest: Any) -> None:
        """When the fault ends, call `action(number, *rest)` for each account or symbol."""

        def end(_now_ns: int) -> None:
            for number in numbers:
                action(number, *rest)

        if self.fault.for_ns is not None:
            self.stage.schedule(self.now_ns + self.fault.for_ns, end)

    def duration_ns(self) -> int:
        if self.fault.for_ns is None:
            raise Refused("NO_END", "it needs an end; say for how long")
        return self.fault.for_ns


def act(stage: "Stage", fault: Fault, links: "list[Link]", now_ns: int) -> str | None:
    """Carry out a fault; return why nothing happened, None when something did."""
    try:
        _ACTIONS[type(fault.what)](_Act(stage, fault, links, now_ns))
    except (Refused, ValueError) as error:
        return str(error)
    return None


def kind_of(name: str) -> int:
    """Return the payload type of a request by its name."""
    return payload_type(name)


def rate_error(refusal: RateRefusal, account_id: int | None) -> Any:
    """Return the ProtoOAErrorRes of a refusal for frequency or of a blocked payload type."""
    error = error_res(refusal.code, refusal.description, account_id)
    if refusal.retry_after_s is not None:
        error.retryAfter = refusal.retry_after_s
    return error


def reject_after_acceptance(venue: "Venue", what: Reject, seen: Seen) -> bool:
    """Have the venue take an order in and reject it then; False when it is no order or another shape is meant."""
    account_id = seen.account_id
    if what.shape != "execution" or seen.name not in ("ProtoOANewOrderReq", "ProtoOAClosePositionReq"):
        return False
    if account_id not in venue.desks:
        return False
    venue.reject_next(account_id, what.code)
    return True


# -- sessions -----------------------------------------------------------------------------------------------------


def _account_disconnect(a: _Act) -> None:
    for link, account_id in a.sessions():
        link.requests.drop_account(account_id)
        link.send(message("ProtoOAAccountDisconnectEvent")(ctidTraderAccountId=account_id))


def _token_invalidated(a: _Act) -> None:
    for link, account_id in a.sessions():
        link.requests.drop_account(account_id)
        event = message("ProtoOAAccountsTokenInvalidatedEvent")
        link.send(event(ctidTraderAccountIds=[account_id], reason=a.what.reason))


def _client_disconnect(a: _Act) -> None:
    for link in a.links:
        link.send(message("ProtoOAClientDisconnectEvent")(reason=a.what.reason))
        link.drop("the client was disconnected by a fault")


def _expire_token(a: _Act) -> None:
    credentials = a.venue.credentials
    credentials.expired_code = a.what.code
    tokens = {link.requests.accounts[account_id][0] for link, account_id in a.sessions()}
    for token in sorted(tokens or {credentials.access_token}):
        credentials.expire(token, a.now_ns)
    for token in credentials.expired_by(a.now_ns):
        a.venue.end_sessions(token, "the access token has expired")


# -- account and owner --------------------------------------------------------------------------------------------


def _margin_change(a: _Act) -> None:
    if a.what.tiers:
        for symbol_id in a.symbols():
            a.venue.set_margin(None, a.what.factor, symbol_id=symbol_id)
        return
    for account_id in a.accounts():
        for position in list(a.venue.desks[account_id].account.positions.values()):
            if position.symbol_id in a.symbols():
                a.venue.set_margin(position.position_id, a.what.factor)


def _leverage_change(a: _Act) -> None:
    for account_id in a.accounts():
        a.venue.set_leverage(account_id, a.what.ratio)


def _access_rights(a: _Act) -> None:
    for account_id in a.accounts():
        a.venue.set_access_rights(account_id, a.what.rights)
    a.afterwards(a.venue.set_access_rights, a.accounts(), "FULL_ACCESS")


def _deposit(a: _Act) -> None:
    for account_id in a.accounts():
        a.venue.deposit(account_id, a.what.amount)


def _withdraw(a: _Act) -> None:
    for account_id in a.accounts():
        a.venue.withdraw(account_id, a.what.amount)


def _partial_fill(a: _Act) -> None:
    a.venue.partial_fill(a.fault.account_id, a.what.fraction, a.what.rest)


def _manual_trade(a: _Act) -> None:
    what, venue, symbols = a.what, a.venue, a.symbols()
    for account_id in a.accounts():
        account = venue.desks[account_id].account
        if what.action == "open":
            spec = venue.specs[symbols[0]]
            volume = what.volume_cents or spec.min_volume_cents
            venue.trade_by_hand(account_id, spec.symbol_id, what.side, volume)
            continue
        if what.action == "cancel":
            held = [order.order_id for order in account.orders.values() if order.symbol_id in symbols]
        else:
            held = [p.position_id for p in account.positions.values() if p.symbol_id in symbols]
        if not held:
            raise Refused("NOTHING_HELD", f"account {account_id} has nothing to {what.action.replace('_', ' ')}")
        for number in sorted(held) if what.action == "close_all" else [min(held)]:
            if what.action == "cancel":
                venue.cancel_by_hand(number)
            else:
                venue.close_by_hand(account_id, number, what.volume_cents if what.action == "close" else None)


# -- symbols ------------------------------------------------------------------------------------------------------


def _symbol_change(a: _Act) -> None:
    for symbol_id in a.symbols():
        a.venue.change_symbol(symbol_id, **dict(a.what.fields))


def _close_market(a: _Act) -> None:
    symbols = a.symbols()
    for symbol_id in symbols:
        a.venue.stop_trading(symbol_id)
    a.afterwards(a.venue.resume_trading, symbols)


def _open_market(a: _Act) -> None:
    for symbol_id in a.symbols():
        a.venue.resume_trading(symbol_id)


def _trading_mode(a: _Act) -> None:
    symbols = a.symbols()
    for symbol_id in symbols:
        a.venue.set_trading_mode(symbol_id, a.what.mode)
    a.afterwards(a.venue.set_trading_mode, symbols, "ENABLED")


def _crossed_book(a: _Act) -> None:
    for symbol_id in a.symbols():
        a.venue.cross_book(symbol_id, a.duration_ns())


def _empty_book(a: _Act) -> None:
    for symbol_id in a.symbols():
        for side in ("bid", "ask") if a.what.side == "both" else (a.what.side,):
            a.venue.empty_book(symbol_id, side, a.duration_ns())


def _stop_quotes(a: _Act) -> None:
    for symbol_id in a.symbols():
        a.venue.stop_quotes(symbol_id, a.duration_ns())


def _shift(a: _Act) -> None:
    for symbol_id in a.symbols():
        a.venue.shift_prices(symbol_id, a.what.bps, a.duration_ns())


def _no_depth(a: _Act) -> None:
    symbols = a.symbols()
    for symbol_id in symbols:
        a.venue.hide_depth(symbol_id)
    a.afterwards(a.venue.show_depth, symbols)


def _holiday(a: _Act) -> None:
    day = a.now_ns // _DAY_NS
    for symbol_id in a.symbols():
        holiday = Holiday(day, a.what.start_s, a.what.end_s, recurring=False, time_zone="UTC")
        a.venue.change_symbol(symbol_id, holidays=(*a.venue.specs[symbol_id].holidays, holiday))


_ACTIONS: dict[type[What], Callable[[_Act], None]] = {
    session.AccountDisconnect: _account_disconnect,
    session.TokenInvalidated: _token_invalidated,
    session.ClientDisconnect: _client_disconnect,
    session.ExpireToken: _expire_token,
    PartialFill: _partial_fill,
    state.MarginChange: _margin_change,
    state.LeverageChange: _leverage_change,
    state.AccessRights: _access_rights,
    state.SymbolChange: _symbol_change,
    state.ManualTrade: _manual_trade,
    state.Deposit: _deposit,
    state.Withdraw: _withdraw,
    state.CloseMarket: _close_market,
    state.OpenMarket: _open_market,
    state.TradingMode: _trading_mode,
    state.Holiday: _holiday,
    state.CrossedBook: _crossed_book,
    state.EmptyBook: _empty_book,
    state.StopQuotes: _stop_quotes,
    state.Shift: _shift,
    state.NoDepth: _no_depth,
}
