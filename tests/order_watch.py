"""Stands at the venue's door: every order that a bot sends is held against what the venue itself holds.

How it works: when bytes leave the bot, what it believes at that moment is noted beside each trade request. When the
request reaches the venue's desk, the rules below are checked on the venue's own figures, in exact decimals. What the
bot could not know (a deposit whose event is on its way) must not count against it: where belief and truth differed when
the bytes left, in anything but prices and orders of its own on their way, or somebody else has acted since, the limits
are not checked, and the order is counted as blind. Prices are those that the bot had read when it decided, so that no
tolerance is needed for what the market did since.

Rules, for an order that increases risk:
- its intent is in the ledger before it leaves, under a client order id that was never used before, in no run;
- it comes after every order of its symbol that was written before it, and before any that was written later;
- none of our orders in its symbol is still at work at the venue (resting ones aside);
- the venue holds no more of ours in its direction than the bot believes: nothing is bought on top of a fill unseen;
- leverage of the symbol and of the account, used margin and margin level after it are within their limits;
- no more than `max_orders_per_minute` requests were written in the minute before, by all runs together: a bot that is
  killed and started again has no more of them than one that lives.
"""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from exact_account import ExactAccount, Spots, Unpriced
from wired_bot import ACCOUNT, SECOND

from bot.ctrader.schema import message, message_for, payload_type
from bot.engine.decision import OrderChange
from bot.execution.requests import ClosePosition, PlaceOrder

_NEW, _CLOSE = payload_type("ProtoOANewOrderReq"), payload_type("ProtoOAClosePositionReq")
_TRADES = (_NEW, _CLOSE, payload_type("ProtoOAAmendOrderReq"), payload_type("ProtoOACancelOrderReq"))

ROUNDING = Decimal("1e-9")
MARGIN_DRIFT = Decimal("0.055")
"""The venue keeps the margin of a position at the rate of its opening; the bot reckons with the rate of now, and takes
the venue's word where that is more than 5 % higher (`bot.engine.account_guard`)."""


@dataclass(frozen=True)
class Belief:
    """What a bot held to be true when bytes left it. `acts` counts what others had done by then."""

    spots: dict[int, tuple[int, int]]
    own_cents: dict[int, int]
    is_true: bool
    acts: int


@dataclass
class Sent:
    """One trade request on its way. `order_ids` are the venue's orders that it made; None before it has arrived."""

    client_order_id: str
    request: Any
    symbol_id: int
    written_ns: int
    belief: Belief
    in_its_minute: int
    order_ids: list[int] | None = None
    refusal: str = ""

    @property
    def is_at_market(self) -> bool:
        """Whether it is to be filled at once."""
        return isinstance(self.request, ClosePosition) or getattr(self.request, "order_type", "") != "limit"


@dataclass
class OrderWatch:
    """Watches all runs of one bot. `run` is the one that lives now; `limits` its `risk` section."""

    venue: Any
    label: str
    limits: Any
    now_ns: Callable[[], int]
    run: Any = None
    unanswered: Callable[[], dict[str, OrderChange]] = dict
    problems: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    sent: dict[str, Sent] = field(default_factory=dict)  # by client order id, every run's
    meddled: set[int] = field(default_factory=set)
    """Symbols that somebody else has traded in since belief and truth were last the same."""
    acts: int = 0
    """How often somebody else has done anything at the venue."""

    def __post_init__(self) -> None:
        self._by_message: dict[str, Sent] = {}
        self._last_at_market: dict[int, Sent] = {}
        self._ours: set[int] = set()
        self._minute: deque[tuple[int, bool]] = deque()

    # -- bytes that leave the bot -------------------------------------------------------------------------------------

    def begin(self, run: Any, unanswered: Callable[[], dict[str, OrderChange]]) -> None:
        """A new process runs; `unanswered` returns its orders without an answer, by client order id."""
        self.run, self.unanswered = run, unanswered

    def written(self, frames: list[bytes]) -> None:
        """Whole frames leave the bot."""
        for body in frames:
            wrapper = message("ProtoMessage").FromString(body)
            if wrapper.payloadType not in _TRADES:
                continue
            pending = self.run.session.requests.get(wrapper.clientMsgId)
            request = pending.trade if pending is not None else None
            if request is None:
                self.problems.append(f"a trade request {wrapper.clientMsgId} left that the session does not know")
                continue
            own_id = request.client_order_id
            if own_id in self.sent:
                self.problems.append(f"client order id {own_id} was used again")
            if self.run.ledger.intent(own_id) is None:
                self.problems.append(f"{own_id} left before its intent was in the ledger")
            sent = Sent(own_id, request, self._symbol_of(request), self.now_ns(), self._belief(), self._count(request))
            self.sent[own_id] = self._by_message[wrapper.clientMsgId] = sent
            self.counts["written"] += 1
            if sent.is_at_market and isinstance(request, PlaceOrder | ClosePosition):
                self._last_at_market[sent.symbol_id] = sent

    def _count(self, request: Any) -> int:
        """Count a request; return the how manieth of its minute it is.

        Of what leaves at the same moment only other orders count: the queue lets reductions that were decided after an
        order leave before it.
        """
        now_ns = self.now_ns()
        self._minute.append((now_ns, isinstance(request, PlaceOrder)))
        # What is decided may wait for a second in the send queue: two that left 59 s apart were decided in a minute.
        while self._minute[0][0] <= now_ns - 59 * SECOND:
            self._minute.popleft()
        return sum(1 for time_ns, places in self._minute if time_ns < now_ns or places)

    def _symbol_of(self, request: Any) -> int:
        if isinstance(request, PlaceOrder | ClosePosition):
            return request.symbol_id
        order = self.venue.desks[ACCOUNT].account.order_history.get(request.order_id)
        return 0 if order is None else order.symbol_id

    def _belief(self) -> Belief:
        engine = self.run.engine
        specs, portfolio = engine.specs, engine.portfolio
        spots = engine.books.heads["spot_e5"]
        return Belief(
            {spec.symbol_id: (int(spots[s][0]), int(spots[s][1])) for s, spec in enumerate(specs)},
            {spec.symbol_id: portfolio.own_cents(spec.symbol_id) for spec in specs},
            self._is_true(engine),
            self.acts,
        )

    def _is_true(self, engine: Any) -> bool:
        """Return whether a bot knows all that the venue does, prices and its orders on their way aside."""
        account, on_their_way = self.venue.desks[ACCOUNT].account, set(self._symbols_on_their_way())
        scale = 10**account.money_digits
        truth = {
            p.position_id: (p.volume_cents if p.is_buy else -p.volume_cents, Decimal(p.used_margin) / scale)
            for p in account.positions.values()
            if p.symbol_id not in on_their_way
        }
        believed = {
            p.position_id: (p.volume_cents, p.used_margin)
            for p in engine.portfolio.positions()
            if p.symbol_id not in on_their_way
        }
        return (
            truth == believed
            and engine.portfolio.balance == Decimal(account.balance) / scale
            and engine.account.leverage == account.settings.leverage
            and all(self.venue.specs[spec.symbol_id].leverage_id == spec.leverage_id for spec in engine.specs)
        )

    def _symbols_on_their_way(self) -> list[int]:
        ids = {spec.name: spec.symbol_id for spec in self.run.engine.specs}
        return [ids[change.order.symbol] for change in self.unanswered().values()]

    # -- requests that reach the venue --------------------------------------------------------------------------------

    def listen(self, link: Any) -> None:
        """Watch a new connection of the bot."""
        dispatch = link._dispatch

        def watched(kind: int, payload: bytes, msg_id: str | None) -> None:
            if kind not in _TRADES:
                dispatch(kind, payload, msg_id)
                return
            sent = self._by_message[str(msg_id)]
            wire: Any = message_for(kind)
            self._arrives(sent, wire.FromString(payload))
            history = self.venue.desks[ACCOUNT].account.order_history
            before = set(history)
            try:
                dispatch(kind, payload, msg_id)
            except Exception as refused:
                sent.refusal = str(refused)
                raise
            finally:
                self.counts["arrived"] += 1
                sent.order_ids = [order_id for order_id in history if order_id not in before]
                self._ours.update(sent.order_ids)

        link._dispatch = watched

    def _arrives(self, sent: Sent, wire: Any) -> None:
        own_id, account = sent.client_order_id, self.venue.desks[ACCOUNT].account
        if sent.order_ids is not None:
            self.problems.append(f"{own_id} reached the venue twice")
        if sent.is_at_market and isinstance(sent.request, PlaceOrder | ClosePosition):
            last = self._last_at_market.get(sent.symbol_id)
            if last is not sent:
                self.problems.append(f"{own_id} arrived after {last.client_order_id if last else None} was written")
            at_work = [o.order_id for o in account.orders.values() if self._is_in_the_way(o, sent.symbol_id)]
            if at_work:
                self.problems.append(f"{own_id} arrived while our orders {at_work} were at work in its symbol")
        if isinstance(sent.request, PlaceOrder):
            if wire.clientOrderId != own_id or wire.label != self.label:
                self.problems.append(f"{own_id} is {wire.clientOrderId} of {wire.label} on the wire")
            if sent.request.position_id is None or not self._closes(sent.request):
                self._grows(sent, wire.volume if wire.tradeSide == 1 else -wire.volume)

    def _is_in_the_way(self, order: Any, symbol_id: int) -> bool:
        # Not by its label: an owner's close has that of the position it closes.
        return order.symbol_id == symbol_id and order.order_id in self._ours and order.order_type != "LIMIT"

    def _closes(self, request: PlaceOrder) -> bool:
        held = self.venue.desks[ACCOUNT].account.positions.get(request.position_id)
        return held is None or held.is_buy != (request.volume_cents > 0)

    def _exact(self, spots: Spots) -> ExactAccount:
        manages_all = self.run.config.manage == "all"
        return ExactAccount(self.venue, ACCOUNT, self.label, spots, manages_all=manages_all)

    def _grows(self, sent: Sent, cents: int) -> None:
        """Check an order that increases risk, if it does. Units: signed volume."""
        symbol_id, belief = sent.symbol_id, sent.belief
        exact = self._exact(belief.spots)
        held = exact.own_cents(symbol_id)
        resting = exact.working_cents(symbol_id, is_buy=cents > 0)
        if abs(held + resting + cents) <= abs(held):
            return
        self.counts["growth"] += 1
        side = 1 if cents > 0 else -1
        rests = not sent.is_at_market or resting
        if symbol_id not in self.meddled and not rests and side * held > side * belief.own_cents[symbol_id]:
            self.problems.append(
                f"{sent.client_order_id} buys on top: the venue holds {held} of ours, the bot believed "
                f"{belief.own_cents[symbol_id]}"
            )
        if sent.in_its_minute > self.limits.max_orders_per_minute:
            self.problems.append(f"{sent.client_order_id} is request {sent.in_its_minute} of its minute")
        if not belief.is_true or belief.acts != self.acts:
            self.counts["blind"] += 1
            return
        try:
            found = self._over_limits(exact, sent, symbol_id, resting + cents, cents)
        except Unpriced:
            self.counts["unpriced"] += 1
            return
        self.counts["checked"] += 1
        self.problems += [f"{sent.client_order_id}: {text}" for text in found]

    def _over_limits(self, exact: ExactAccount, sent: Sent, symbol_id: int, more: int, cents: int) -> list[str]:
        limits, account, found = self.limits, self.venue.desks[ACCOUNT].account, []
        equity, scale = exact.equity(), 10**account.money_digits
        one, all_ = exact.symbol_leverage(symbol_id, more), exact.leverage(symbol_id, more)
        self.counts["near a limit"] += one > Decimal("0.9") * Decimal(
            str(limits.max_symbol_leverage)
        ) or all_ > Decimal("0.9") * Decimal(str(limits.max_leverage))
        for name, figure, limit in (
            ("max_symbol_leverage", one, limits.max_symbol_leverage),
            ("max_leverage", all_, limits.max_leverage),
        ):
            if figure > Decimal(str(limit)) * (1 + ROUNDING):
                found.append(f"{name}: {figure:.6f} at an equity of {equity:.2f}, the limit is {limit}")
        if self._is_charged_otherwise(sent, exact):
            self.counts["margin of its own"] += 1
            return found
        # Margin is charged at the venue's prices of now, the rest was decided on those that were seen.
        book = self.venue.books[symbol_id]
        moved = abs(Decimal(book.bid_e5 or 0) / Decimal(sent.belief.spots[symbol_id][0]) - 1)
        slack = 1 + MARGIN_DRIFT + moved
        used = Decimal(account.used_margin_after(symbol_id, is_buy=cents > 0, volume_cents=abs(more))) / scale
        most = Decimal(str(limits.max_margin_use_frac)) * equity
        self.counts["near a margin limit"] += used > Decimal("0.9") * most
        if used > most * slack:
            found.append(f"margin_use: {used:.2f} of {equity:.2f}, the limit is {limits.max_margin_use_frac}")
        if used > 0 and equity / used * slack < Decimal(str(limits.min_margin_level_frac)):
            found.append(f"margin_level: {equity / used:.4f}, the least is {limits.min_margin_level_frac}")
        return found

    def _is_charged_otherwise(self, sent: Sent, exact: ExactAccount) -> bool:
        """Return whether a position that the venue charges by a factor of its own has grown since the bytes left.

        What an order of the same batch has added to it is charged by that factor, too; the bot knows it of the account
        as a whole only.
        """
        account, believed = self.venue.desks[ACCOUNT].account, sent.belief.own_cents
        charged = {p.symbol_id for p in account.positions.values() if p.margin_factor > 1}
        return any(exact.own_cents(s) != believed.get(s, 0) for s in charged)

    def compare(self) -> None:
        """Look whether belief and truth about our volumes are the same again, so that meddling is over."""
        if self.meddled:
            engine, exact = self.run.engine, self._exact({})
            orders = self.venue.desks[ACCOUNT].account.orders.values()
            waiting = {order.symbol_id for order in orders if order.label != self.label}
            apart = {s for s in self.meddled if engine.portfolio.own_cents(s) != exact.own_cents(s)}
            self.meddled = apart | (self.meddled & waiting)
