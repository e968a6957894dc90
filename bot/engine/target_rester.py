"""Approaches targets by limit orders that rest: `execution.order_type: limit`.

How it works: where a target differs from what is held, one order of that symbol rests at the near touch, with the means
that keep quotes (`quoter.py`: one step at a time, the risk gate before each, answers awaited, nothing doubled).

    price   The best bid to buy, the best ask to sell. The order never moves away from the market. It follows when the
            market has run away by half of the usual spread. One that has not filled for `PATIENCE_S` follows each tick
            and goes half way to the other side of the touch; after as long again three quarters; never all the way.
    volume  What the target asks for. Growth that rests stays wanted while the goal has room for it, though patience
            (rate, persistence, band) would not ask for it anew; whatever forbids growth takes it back. The rate limit
            starts anew when something fills.
    urgent  What a broken limit or a crisis asks for, and what closes everything, goes to the market (`trader.py`); the
            order is taken back by the same decision, before it.

Invariants: one order a symbol; nothing of it grows a position where a market order could not.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from bot.account.risk import ApprovedTarget
from bot.engine.events import ExecutionReported
from bot.engine.quote_wishes import Moment, Places
from bot.engine.quoter import Quoter
from bot.execution.in_flight import OwnOrder
from bot.execution.quotes import QuotePace, Step, Wish, quote_price
from bot.execution.reduction import first_to_reduce, reduction_cents
from bot.sizing.bound import LETS_STAY
from bot.sizing.target import target_volume_cents

PATIENCE_S = 30.0
"""So long an order waits at the near touch before it goes nearer. Source: none; a book turns over a few times in it."""
_PATIENCE_NS = round(PATIENCE_S * 1e9)
_RUN_AWAY_SPREADS = 0.5
_MOST_HALVINGS = 10
_SLACK_FRAC = 1e-3  # of the goal: equity that flickers by less takes no order back


class TargetRester(Quoter):
    """Keeps one resting order a symbol. Args: `note_growth` is told of every increase that has filled."""

    _rests_anyway = True
    _orders_a_symbol = 1

    def __init__(self, *parts: Any, note_growth: Callable[[int, int], None]) -> None:
        super().__init__(*parts)
        self._note_growth = note_growth
        self._held_cents: dict[int, int] = {}
        self._places_of: dict[int, int] = {}
        self._filled: dict[int, tuple[str, int, int]] = {}  # by symbol: its order, what of it is executed, since when

    def executed(self, event: ExecutionReported) -> None:
        """Take that something has filled: what grew a position starts the rate limit anew."""
        if event.deal is not None and event.deal.symbol_id in self._places_of:
            self._watch(event.deal.symbol_id, event.recv_ns)

    def _watch(self, symbol_id: int, now_ns: int) -> None:
        held = self._portfolio.own_cents(symbol_id)
        before = self._held_cents.get(symbol_id)
        self._held_cents[symbol_id] = held
        if before is not None and abs(held) > abs(before):
            self._note_growth(self._places_of[symbol_id], now_ns)

    def _wish(self, m: Moment, at: Places | None, s: int, side: int) -> Wish | str:  # noqa: ARG002
        spec, held = m.specs[s], self._portfolio.own_cents(m.specs[s].symbol_id)
        self._places_of[spec.symbol_id] = s
        self._watch(spec.symbol_id, m.now_ns)
        why = self._bar(m, s)
        if why:
            return why
        here = self._orders.resting.of_symbol(s)
        resting = [order for order in here if order.side == side]
        change = self._change(m, s, held, side, resting)
        if change == 0:
            return "nothing more is wanted on that side now"
        grows = abs(held + side * change) > abs(held)
        if grows and resting and self._guard.trading != "active":
            return f"trading is {self._guard.trading}"  # at once; where nothing rests the gate has the word
        doubt = self._doubt(m, s)
        if doubt and (grows or not resting):
            return doubt
        if any(order.side != side for order in here):
            return "the order on the other side is still in the book"
        return self._placed(m, s, side, change, resting, grows=grows, is_known=not doubt)

    def _bar(self, m: Moment, s: int) -> str:
        """Return why a symbol must have no resting order at all; empty when it may have one."""
        row = m.targets.rows[s]
        if m.bar:
            return m.bar
        if m.bars[s] is not None:
            return str(m.bars[s])
        if row["forced"] or row["urgent"]:
            return "the position is being reduced at the market"
        if m.specs[s].symbol_id in self._hands_off:
            return "somebody else has closed a position of ours here"
        return ""

    def _doubt(self, m: Moment, s: int) -> str:
        """Return why prices cannot be trusted now; empty when they can."""
        if not m.prices.fresh[s]:
            return f"no price for {m.prices.quiet_s[s]:.1f} s"
        if m.prices.doubtful[s] or m.prices.odd[s]:
            return "book and spot price disagree"
        return ""

    def _change(self, m: Moment, s: int, held: int, side: int, resting: Sequence[OwnOrder]) -> int:
        """Return the volume that is to rest on a side, positive, 0.01 base unit; 0 for none."""
        row, spec = m.targets.rows[s], m.specs[s]
        unit = float(m.prices.unit_notional[s])
        wanted = target_volume_cents(spec, held, float(row["target"]), unit, m.equity)
        volume = max(side * (wanted - held), 0)
        if held * side < 0:
            return volume
        if self._settings.pace.heeds_crisis and m.table["crisis_level"][s] >= 1:
            return 0  # nothing grows in a crisis, and what rests is growth
        if not resting or int(row["bound"]) not in LETS_STAY:
            return volume
        goal = target_volume_cents(spec, held, float(row["goal"]) * (1 + _SLACK_FRAC), unit, m.equity)
        return max(volume, min(resting[-1].left_cents, max(side * (goal - held), 0)))

    def _placed(
        self, m: Moment, s: int, side: int, volume: int, resting: Sequence[OwnOrder], *, grows: bool, is_known: bool
    ) -> Wish | str:
        spec, position_id = m.specs[s], None
        if not grows and not self._guard.is_netted:
            tied = self._tied(spec.symbol_id, side, volume, resting)
            if tied is None:
                return "there is no position left to close"
            position_id, volume = tied.position_id, reduction_cents(tied, side * volume, spec)
            if volume == 0:
                return "what is to be closed is less than the least volume"
        price = self._price(m, s, side, resting) if is_known else resting[-1].limit_price
        if price is None or not math.isfinite(price) or price <= 0:
            return "there is no price to rest at"
        return Wish(price, volume, position_id)

    def _tied(self, symbol_id: int, side: int, volume: int, resting: Sequence[OwnOrder]) -> Any:
        """Return the position to close: the one that the order in the book closes already, while it stands."""
        positions = self._portfolio.own_positions(symbol_id)
        for position in positions:
            if resting and position.position_id == resting[-1].position_id and position.volume_cents * side < 0:
                return position
        return first_to_reduce(positions, side * volume)

    def _price(self, m: Moment, s: int, side: int, resting: Sequence[OwnOrder]) -> float:
        row = m.table[s]
        near, far = ("bid", "ask") if side > 0 else ("ask", "bid")
        touch = float(row[near] if math.isfinite(row[near]) else row["depth_" + near])
        opposite = side * float(min(side * row[far], side * row["depth_" + far], key=_nan_last))
        improvement = 0.0
        if resting and math.isfinite(opposite):
            share = 1.0 - 0.5 ** self._waits(s, resting[-1], m.now_ns)
            improvement = share * max(side * (opposite - touch), 0.0)
        price = quote_price(touch, -improvement, side, opposite, m.specs[s])
        stands = resting[-1].limit_price if resting else None
        # It has waited its turn where it is: going back would lose that, and the better price is ours already.
        return stands if stands is not None and side * stands >= side * price else price

    def _waits(self, s: int, order: OwnOrder, now_ns: int) -> int:
        """Return how many patiences an order has rested without a fill."""
        name, executed, since_ns = self._filled.get(s, ("", 0, 0))
        if name != order.client_order_id or executed != order.executed_cents:
            since_ns = order.sent_ns if name != order.client_order_id and not order.executed_cents else now_ns
            self._filled[s] = order.client_order_id, order.executed_cents, since_ns
        return min((now_ns - since_ns) // _PATIENCE_NS, _MOST_HALVINGS)

    def _pace(self, m: Moment, s: int, side: int, wish: Wish | None, resting: Sequence[OwnOrder]) -> QuotePace:
        pace = super()._pace(m, s, side, wish, resting)
        threshold = 1.0
        if resting and self._waits(s, resting[-1], m.now_ns) == 0:
            spread_bps = float(m.table["mean_spread_bps"][s])
            ticks = _RUN_AWAY_SPREADS * spread_bps * float(m.prices.mid[s]) / 1e4 * 10.0 ** m.specs[s].digits
            threshold = max(ticks, 1.0) if math.isfinite(ticks) else 1.0
        pace = replace(pace, threshold_ticks=threshold)
        if self._portfolio.own_cents(m.specs[s].symbol_id) * side < 0:
            pace = replace(pace, sent_last_minute=0)  # the order rate never refuses a reduction
        return pace

    def _reason(
        self,
        m: Moment,
        at: Places | None,  # noqa: ARG002
        s: int,
        side: int,
        step: Step,
        verdict: ApprovedTarget | None,
    ) -> str:
        row, held = m.targets.rows[s], float(m.held[s])
        what = f"{self._settings.strategy.name}: {held:+.2f}x -> {float(row['target']):+.2f}x"
        if step.action == "cancel":
            return f"{what}; taken back: {step.why}"
        price = f"{'buy' if side > 0 else 'sell'} at {step.price:.{m.specs[s].digits}f}"
        note = f"; {verdict.note}" if verdict is not None and verdict.note else ""
        return f"{what}; rests to {price}{note}"


def _nan_last(number: float) -> float:
    return number if number == number else math.inf
