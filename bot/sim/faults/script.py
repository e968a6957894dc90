"""A script of faults: when something goes wrong, and what.

A `Fault` joins a `When` with one of the classes of `link_faults`, `reply_faults`, `session_faults`, `venue_faults`.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from bot.sim.faults import link_faults, reply_faults, session_faults, venue_faults
from bot.sim.faults.link_faults import Duplicate, Late, LoseEvent, Reorder
from bot.sim.faults.reply_faults import NoReply, Reject

What = Any
"""An instance of one of the classes in `WHATS`."""

WHATS: dict[str, type] = {
    "latency": link_faults.Latency,
    "split": link_faults.Split,
    "merge": link_faults.Merge,
    "drop": link_faults.Drop,
    "silence": link_faults.Silence,
    "slow_reader": link_faults.SlowReader,
    "duplicate": link_faults.Duplicate,
    "reorder": link_faults.Reorder,
    "late": link_faults.Late,
    "lose_event": link_faults.LoseEvent,
    "reject": reply_faults.Reject,
    "no_reply": reply_faults.NoReply,
    "partial_fill": reply_faults.PartialFill,
    "account_disconnect": session_faults.AccountDisconnect,
    "token_invalidated": session_faults.TokenInvalidated,
    "client_disconnect": session_faults.ClientDisconnect,
    "expire_token": session_faults.ExpireToken,
    "block": session_faults.Block,
    "rate": session_faults.Rate,
    "maintenance": session_faults.Maintenance,
    "refuse_connections": session_faults.RefuseConnections,
    "not_routable": session_faults.NotRoutable,
    "server_unreachable": session_faults.ServerUnreachable,
    "margin_change": venue_faults.MarginChange,
    "leverage_change": venue_faults.LeverageChange,
    "access_rights": venue_faults.AccessRights,
    "symbol_change": venue_faults.SymbolChange,
    "manual_trade": venue_faults.ManualTrade,
    "deposit": venue_faults.Deposit,
    "withdraw": venue_faults.Withdraw,
    "close_market": venue_faults.CloseMarket,
    "open_market": venue_faults.OpenMarket,
    "trading_mode": venue_faults.TradingMode,
    "holiday": venue_faults.Holiday,
    "crossed_book": venue_faults.CrossedBook,
    "empty_book": venue_faults.EmptyBook,
    "stop_quotes": venue_faults.StopQuotes,
    "shift": venue_faults.Shift,
    "no_depth": venue_faults.NoDepth,
}
"""Every fault by its name in a file."""

REQUEST_FAULTS = (Reject, NoReply)
EVENT_FAULTS = (Duplicate, Reorder, Late, LoseEvent)
TIMED, ON_REQUEST, ON_EVENT, ON_CONNECT = "time", "request", "event", "connect"


def name_of(what: What) -> str:
    """Return the name of a fault as a file writes it."""
    return next(name for name, cls in WHATS.items() if type(what) is cls)


@dataclass(frozen=True, slots=True)
class When:
    """What sets a fault off. Units: ns; `at_ns` and `after_ns` count from the venue's start.

    Exactly one of `at_ns`, `every_ns`, `on_request`, `on_event` and `on_connect` (the number of the connection, from
    1), save that a time may stand beside a request or an event: the first of them from that time on. Nothing at all
    means at once. `kinds` restricts execution events; `nth` counts the requests or events that match.
    """

    at_ns: int | None = None
    every_ns: int | None = None
    jitter_ns: int = 0
    on_request: tuple[str, ...] = ()
    on_event: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    on_connect: int | None = None
    nth: int = 1
    after_ns: int = 0

    @property
    def trigger(self) -> str:
        """Which kind of thing sets it off: time, request, event or connect."""
        if self.on_request:
            return ON_REQUEST
        if self.on_event:
            return ON_EVENT
        return TIMED if self.on_connect is None else ON_CONNECT


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong.

    `times`: how often at most; None means without end for `every_ns`, else once; `ALWAYS` without end. `for_ns`: how
    long a fault that lasts does; None: for ever. `probability` is thrown anew each time. `account_id` and `symbol`
    restrict what sets it off and whom it strikes.
    """

    what: What
    when: When = field(default_factory=When)
    times: int | None = None
    for_ns: int | None = None
    probability: float = 1.0
    account_id: int | None = None
    symbol: str | None = None

    @property
    def scope(self) -> str:
        """Whom it strikes and for how long, for a person; "" for everybody, once."""
        account = f"account {self.account_id}" if self.account_id is not None else ""
        length = f"for {self.for_ns / 1e9:g} s" if self.for_ns is not None else ""
        return ", ".join(part for part in (account, self.symbol, length) if part)

    @property
    def limit(self) -> int | None:
        """How often it may strike; None for no limit."""
        if self.times is None:
            return None if self.when.every_ns is not None else 1
        return None if self.times == ALWAYS else self.times

    def once(self, when: When | None = None) -> "Fault":
        """Return the same fault, to strike one single time."""
        return replace(self, times=1, probability=1.0, when=self.when if when is None else when)


ALWAYS = 0


@dataclass(frozen=True, slots=True)
class RandomFaults:
    """Faults at random: on average `per_hour` of them, at times of a Poisson process; each is drawn evenly from
    `faults`, whose `When` may name a request or an event that it then waits for."""

    per_hour: float
    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class FaultScript:
    """Everything that goes wrong in a run. The same script, seed and inputs give the same faults.

    `seed` None: the venue's seed counts.
    """

    faults: tuple[Fault, ...] = ()
    random: RandomFaults | None = None
    seed: int | None = None
