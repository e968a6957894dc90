"""A whole bot before a venue that misbehaves, and the truths that must hold when it is over.

`Scene` is a `WiredBot` whose network is the venue's, with short ways to say what goes wrong. `a_day` makes the bot send
every kind of request it knows. `check` waits for calm and holds the bot against the venue.
"""

from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from wired_bot import ACCOUNT, SECOND, START, TOKEN, WiredBot, Written, bot_config, virtual_venue

from bot.app import replay_journal
from bot.config.token_file import Token, write_token_file
from bot.ctrader.ratelimit import is_historical
from bot.ctrader.schema import message_for, payload_type
from bot.execution.in_flight import FINAL
from bot.execution.requests import ResolveOrders
from bot.market.book import BID, standing_quotes
from bot.net.outcome import Outcome
from bot.sim.faults.link_faults import Drop
from bot.sim.faults.reply_faults import NoReply
from bot.sim.faults.script import Fault, When
from bot.sim.request_log import Heard
from bot.sim.snapshot import Snapshot, snapshot

STEP_S = 1 / 16
TRADES = ("ProtoOANewOrderReq", "ProtoOAClosePositionReq", "ProtoOACancelOrderReq", "ProtoOAAmendOrderReq")
ORDER, CLOSE, EXECUTION = "ProtoOANewOrderReq", "ProtoOAClosePositionReq", "ProtoOAExecutionEvent"
HANDSHAKE = (
    "ProtoOAApplicationAuthReq", "ProtoOAGetAccountListByAccessTokenReq", "ProtoOAAccountAuthReq", "ProtoOATraderReq",
    "ProtoOASymbolsListReq", "ProtoOASymbolByIdReq", "ProtoOAReconcileReq", "ProtoOASubscribeSpotsReq",
    "ProtoOASubscribeDepthQuotesReq",
)  # fmt: skip
HISTORIES = ("ProtoOAOrderListReq", "ProtoOADealListReq")
EVERY_REQUEST = (*HANDSHAKE, ORDER, CLOSE, *HISTORIES)
"""Every kind of request that `a_day` makes the bot send and whose answer matters."""

EURUSD, USDJPY = 1, 2


class Scene:
    """One run before one venue.

    Args: `token_file` gives the bot a token that it can renew, as `auth login` would; `changes` replace whole sections
        of the config.
    """

    def __init__(
        self,
        folder: Path,
        *,
        trade: bool = True,
        account_type: str = "hedged",
        token_file: bool = False,
        **changes: Any,
    ) -> None:
        self.venue = virtual_venue(account_type=account_type)
        self.account = self.venue.desks[ACCOUNT].account
        execution = {"order_timeout_s": 2, "settle_s": 1, "min_interval_s": 0.2}
        changes.setdefault("execution", execution)
        if token_file:
            path = folder / "token.json"
            write_token_file(path, Token(TOKEN.access_token, TOKEN.refresh_token, START // SECOND + 2_628_000))
            changes["credentials"] = {"token_file": str(path)}
        config = bot_config(folder, trade=trade, **changes)
        self.wanted = {n: config.strategy.base_leverage * s.weight for n, s in config.symbols.items()}
        self._held: dict[int, int] = {}
        self.bot = WiredBot(
            folder,
            config,
            self.venue,
            watchers=[lambda _: self._watch_growth()],
            oauth=object() if token_file else None,
        )
        self.bot.client.backs_off = True

    # -- time -------------------------------------------------------------------------------------------------------

    def start(self) -> "Scene":
        self.bot.start()
        return self

    def let(self, seconds: float, step_s: float = STEP_S) -> "Scene":
        self.bot.let(seconds, step_s)
        return self

    def until(self, condition: Callable[[], Any], limit_s: float = 90.0, step_s: float = STEP_S) -> "Scene":
        self.bot.until(condition, limit_s, step_s)
        return self

    def trading(self) -> "Scene":
        """Start, and go on until every symbol is held as wanted."""
        self.start()
        return self.until(self.is_invested)

    def is_invested(self) -> bool:
        """Whether everything is held as wanted: to a tenth, and one step of the volume."""
        step = 1_000 / (self.account.equity() / 100)
        return self.is_calm() and all(
            abs(abs(self.leverage(name)) - wanted) < 0.1 * wanted + step for name, wanted in self.wanted.items()
        )

    def is_calm(self) -> bool:
        return self.bot.is_ready and not self.bot.driver.figures.open_orders

    @property
    def now_s(self) -> float:
        return self.bot.clock.seconds()

    # -- what goes wrong --------------------------------------------------------------------------------------------

    def fire(self, what: Any, *, for_s: float | None = None, **filters: Any) -> "Scene":
        """Let a fault strike now."""
        self.venue.advance(self.bot.now_ns())
        self.venue.stage.fire(what, for_ns=_ns(for_s), **filters)
        assert self.venue.stage.fired[-1].problem is None, self.venue.stage.fired[-1].line()
        return self

    def on_request(self, names: str | Iterable[str], what: Any, *, nth: int = 1, **more: Any) -> "Scene":
        """Let a fault wait for a request."""
        return self._wait_for(When(on_request=_names(names), nth=nth), what, **more)

    def on_event(
        self, names: str | Iterable[str], what: Any, *, kind: str | None = None, nth: int = 1, **more: Any
    ) -> "Scene":
        """Let a fault wait for an event."""
        return self._wait_for(When(on_event=_names(names), kinds=(kind,) if kind else (), nth=nth), what, **more)

    def _wait_for(self, when: When, what: Any, for_s: float | None = None, **more: Any) -> "Scene":
        self.venue.stage.play(Fault(what, when, for_ns=_ns(for_s), **more), self.venue.now_ns)
        return self

    def has_struck(self, kind: type, times: int = 1) -> bool:
        """Tell whether a kind of fault struck so often, and did what it is for."""
        return sum(isinstance(fired.what, kind) and fired.problem is None for fired in self.venue.stage.fired) >= times

    # -- what makes the bot act -------------------------------------------------------------------------------------

    def grow(self, share: float = 0.3) -> "Scene":
        """Have the bot buy more: money comes in, so leverage has fallen."""
        return self._book(share, self.venue.deposit)

    def shrink(self, share: float = 0.3) -> "Scene":
        """Have the bot close some: money goes out, so leverage has risen."""
        return self._book(share, self.venue.withdraw)

    def _book(self, share: float, book: Callable[[int, int], None]) -> "Scene":
        self.venue.advance(self.bot.now_ns())
        book(ACCOUNT, round(self.account.balance / 100 * share))
        return self

    def a_day(self) -> "Scene":
        """Start, buy, buy more, close some, lose the line with an order on its way, find it again."""
        self.start().until(self.is_invested)
        self.grow().let(1).until(self.is_invested)
        self.shrink().let(1).until(self.is_invested)
        # Two orders go out; one is executed, and the line breaks before any answer: both have to be looked up.
        self.on_request(ORDER, NoReply("executed")).on_request(ORDER, Drop("after_execution"), nth=2)
        self.grow().let(1)
        return self.until(self.is_invested)

    # -- what was seen ----------------------------------------------------------------------------------------------

    def heard(self, name: str, *, since_ns: int = 0) -> list[Heard]:
        """What came to the venue of one kind of request."""
        return self.venue.stage.request_log.sent_between(payload_type(name), since_ns, 2**63)

    def written(self, *names: str) -> list[Written]:
        """What the bot wrote of some kinds of messages."""
        return [w for w in self.bot.written if w.name in names]

    def written_s(self, *names: str) -> list[float]:
        """When, in seconds since the start."""
        return [(w.now_ns - START) / SECOND for w in self.written(*names)]

    def states(self, name: str | None = None) -> list[str]:
        """The states of our orders in the order in which they came about; `name`: of one order."""
        return [state for client_order_id, state in self.bot.states if name in (None, client_order_id)]

    def codes(self) -> list[str]:
        """The error codes of our orders."""
        return [c.error_code for d in self.bot.decisions for c in d.order_changes if c.error_code]

    def refused(self, symbol: str | None = None) -> list[str]:
        """The checks of the risk gate that refused something."""
        return [r.check for d in self.bot.decisions for r in d.refused if symbol in (None, r.symbol)]

    def reasons(self) -> list[str]:
        """Every reason that was given, once each, in their order."""
        given = [r for d in self.bot.decisions if d.state is not None for r in d.state.reasons]
        return list(dict.fromkeys(given))

    @property
    def truth(self) -> Snapshot:
        return snapshot(self.venue, ACCOUNT)

    def ours(self, symbol_id: int) -> int:
        """The signed volume that the venue holds for the bot, 0.01 base unit."""
        ours = [p for p in self.account.positions.values() if p.symbol_id == symbol_id and p.label == "microlev"]
        return sum(p.volume_cents if p.is_buy else -p.volume_cents for p in ours)

    def leverage(self, name: str) -> float:
        """The leverage of what the venue holds for the bot in EURUSD or USDJPY, at the venue's own prices."""
        symbol_id = {"EURUSD": EURUSD, "USDJPY": USDJPY}[name]
        in_usd = float(self.venue.books[EURUSD].mid or 0) if symbol_id == EURUSD else 1.0
        return self.ours(symbol_id) / 100 * in_usd / (self.account.equity() / 100)

    # -- the truths -------------------------------------------------------------------------------------------------

    def _watch_growth(self) -> None:
        """Nothing is ever bought twice: what we hold never grows past what was wanted."""
        for name, wanted in self.wanted.items():
            symbol_id = {"EURUSD": EURUSD, "USDJPY": USDJPY}[name]
            held, before = abs(self.ours(symbol_id)), self._held.get(symbol_id, 0)
            self._held[symbol_id] = held
            if held > before:
                assert abs(self.leverage(name)) <= wanted * 1.05, f"{name} was bought twice: {self.leverage(name):.2f}x"

    def check(
        self, *, limit_s: float = 60.0, same_margin: bool = True, same_books: bool = True, replay: bool = False
    ) -> "Scene":
        """Wait for calm, then hold everything against the venue."""
        self.let(1).until(self.is_calm, limit_s)
        self.let(3)
        assert self.bot.result is None, self.bot.result
        assert self.is_calm()
        self._same_account(same_margin=same_margin)
        if same_books:
            self.same_books()
        self._orders_only_when_ready()
        self._one_order_for_one_intent()
        self._unknown_orders_were_looked_up()
        self._within_the_limits()
        if replay:
            self.replayed()
        return self

    def replayed(self) -> None:
        """Stop, and decide everything again from the journal."""
        self.bot.driver.stop(Outcome(0))
        self.let(12)
        assert self.bot.result == Outcome(0)
        result = replay_journal(self.bot.journal_path)
        assert result.difference is None
        assert result.decisions == len(self.bot.decisions)

    def holds_the_truth(self) -> bool:
        """Whether the bot's positions are the venue's at this moment."""
        held = {p.position_id: p.volume_cents for p in self.bot.run.engine.portfolio.positions()}
        return held == {p.position_id: p.signed_volume_cents for p in self.truth.positions}

    def _same_account(self, *, same_margin: bool) -> None:
        truth, engine = self.truth, self.bot.run.engine
        assert self.holds_the_truth()
        assert not [order for order in truth.orders if order.label == "microlev"]
        assert float(engine.portfolio.balance or -1) == truth.balance / 10**truth.money_digits
        assert engine.valuation.equity == pytest.approx(truth.equity / 10**truth.money_digits, abs=0.05)
        if same_margin:
            assert engine.used_margin() == pytest.approx(truth.used_margin / 10**truth.money_digits, rel=1e-3, abs=0.05)

    def same_books(self) -> None:
        """The bot's books and prices are those that the venue shows."""
        engine = self.bot.run.engine
        assert engine.books is not None and engine.features is not None
        for i, spec in enumerate(engine.specs[: len(self.wanted)]):
            shown = self.truth.markets[spec.symbol_id]
            assert self.book(i) == {q.quote_id: (q.is_bid, q.price_e5, q.size_cents) for q in shown.quotes.values()}
            assert [round(float(x[i]) * 1e5) for x in (engine.features.bid, engine.features.ask)] == [
                shown.bid_e5, shown.ask_e5,
            ]  # fmt: skip

    def book(self, i: int) -> dict[int, tuple[bool, int, int]]:
        """The bot's own book of its symbol number `i`: id -> bid?, price, size."""
        books = self.bot.run.engine.books
        assert books is not None
        return {key: (side == BID, price, size) for key, (side, price, size) in standing_quotes(books, i).items()}

    def _orders_only_when_ready(self) -> None:
        was_ready, ready = False, []
        for decision in self.bot.decisions:
            was_ready = was_ready if decision.state is None else decision.state.ready
            ready.append(was_ready)
            assert was_ready or not decision.intended
        trades = self.written(*TRADES)
        assert all(ready[w.decision] for w in trades), "an order was sent while the bot was not ready"
        heard = [h for h in self.venue.stage.request_log if _name(h) in TRADES]
        assert len(heard) <= len(trades)

    def _one_order_for_one_intent(self) -> None:
        intended = [order.client_order_id for d in self.bot.decisions for order in d.intended]
        assert len(intended) == len(set(intended))
        sent = [w.body.clientOrderId for w in self.written(ORDER)]
        assert len(sent) == len(set(sent)) and set(sent) <= set(intended)
        messages = [w.message_id for w in self.bot.written if w.message_id]
        assert len(messages) == len(set(messages))
        opened: dict[str, str] = {}
        for change in (c for d in self.bot.decisions for c in d.order_changes):
            name, symbol = change.order.client_order_id, change.order.symbol
            if change.state in FINAL:
                opened.pop(symbol, None)
            else:
                assert opened.setdefault(symbol, name) == name, f"two open orders on {symbol}"

    def _unknown_orders_were_looked_up(self) -> None:
        unknown: set[str] = set()
        has_asked: set[str] = set()
        for decision in self.bot.decisions:
            for change in decision.order_changes:
                name = change.order.client_order_id
                if change.state == "unknown":
                    unknown.add(name)
                elif change.state == "resolved":
                    assert name in has_asked, f"{name} was given up without a question"
            if any(isinstance(request, ResolveOrders) for request in decision.requests):
                has_asked |= unknown

    def _within_the_limits(self) -> None:
        for historical, limit in ((True, 5), (False, 50), (None, 50)):
            times = [
                w.now_ns
                for w in self.bot.written
                if w.message_id and (historical is None or is_historical(payload_type(w.name)) == historical)
            ]
            for first, last in zip(times, times[limit:], strict=False):
                assert last - first >= SECOND, f"{limit + 1} requests within a second"


def slow(parameter: Any) -> Any:
    """One of many parameters of a test: the fast suite goes without it."""
    return pytest.param(parameter, marks=pytest.mark.slow)


_TELLING = (*HANDSHAKE[:1], *HANDSHAKE[2:3], *HANDSHAKE[5:8], ORDER, CLOSE, HISTORIES[1])
GRID = [name if name in _TELLING else slow(name) for name in EVERY_REQUEST]
"""Every request as a parameter; the fast suite goes without those that are much like another."""


def gaps(times: list[float]) -> list[float]:
    """The pauses between moments."""
    return [later - earlier for earlier, later in pairwise(times)]


def _name(heard: Heard) -> str:
    cls: Any = message_for(heard.payload_type)
    return "" if cls is None else str(cls.DESCRIPTOR.name)


def _names(names: str | Iterable[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _ns(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * SECOND)
