"""Resizes other people's resting orders by the leverage: `manage: all`.

How it works: the orders of a side that would grow a position share what the goal of the symbol leaves beside what is
held, on its way, or wanted at the market, in proportion to their volumes; the risk gate has a word on it. An
order that is larger is cut at once, to a little less than there is room for, or taken back when less than the least
volume is left. It is given back more, up to its owner's volume, when there has been room for a while. Prices and
everything else stay its owner's, and are sent again with each amendment. Orders that reduce are left alone.

Where nothing is held and the direction is `follow`, either side may have what base leverage and factors allow.

A venue that would not let an order be cut has it cancelled, and placed anew, smaller, with our label: only after the
cancel has been confirmed as ours. While the leverage is unknown, an order stays as it is; what the gate's limits forbid
goes even then.

Invariants: at most one change of an order on its way; never more than its owner's volume; a cut needs no approval.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from bot.account.new_orders import NewOrders
from bot.account.portfolio import Portfolio
from bot.account.risk import ApprovedTarget, Refused, RiskGate
from bot.account.risk_view import RiskView
from bot.engine.account_guard import AccountGuard
from bot.engine.actions import Actions
from bot.engine.adoption import id_for_owner, line_type
from bot.engine.decision import IntendedOrder
from bot.engine.foreign_order import ForeignOrder, terms
from bot.engine.foreign_orders import ForeignOrders
from bot.engine.order_flow import OrderFlow
from bot.engine.order_maker import OrderMaker, known
from bot.engine.quote_wishes import Moment
from bot.engine.settings import EngineSettings
from bot.execution.quotes import advances_a_minute
from bot.execution.requests import AmendOrder, CancelOrder, PlaceOrder
from bot.market.symbols import SymbolSpec
from bot.sizing.bound import LETS_STAY
from bot.sizing.leverage import crisis_multiplier
from bot.sizing.target import target_volume_cents

_SECOND = 1_000_000_000
_LOOK_NS = _SECOND // 4
_SHARE_OF_ROOM = 0.95  # what a cut leaves of the room: the next tick is not to ask for another
_GROWTH_FRAC = 0.1  # an order that could be this much larger is worth an amend
_SHARE_OF_LIMIT = 0.99  # as `sizing.leverage` keeps of a cap
# Refusals of the gate that say how large a position may be; the others say that it cannot be told now.
_LIMITS = frozenset(
    {"max_leverage", "max_symbol_leverage", "margin_use", "margin_level", "stop_out_distance", "exit_cost"}
)


@dataclass(frozen=True, slots=True)
class Room:
    """What the orders of a side may add to a position. Units: 0.01 base unit, positive; `leverage` in equities.

    `is_known` False where only the gate's limits could be told; `is_refused` whether the gate lets nothing of it grow;
    `may_grow` whether orders may be given back more.
    """

    cents: int
    leverage: float
    is_known: bool
    is_refused: bool
    may_grow: bool
    verdict: ApprovedTarget | None
    why: str


class ForeignResizer:
    """Resizes what `foreign` follows. Arguments as of `Quoter`."""

    def __init__(
        self,
        settings: EngineSettings,
        portfolio: Portfolio,
        orders: OrderFlow,
        maker: OrderMaker,
        guard: AccountGuard,
        foreign: ForeignOrders,
        hands_off: set[int],
    ) -> None:
        self._settings = settings
        self._portfolio = portfolio
        self._orders = orders
        self._maker = maker
        self._guard = guard
        self._foreign = foreign
        self._hands_off = hands_off
        self._gate = RiskGate(settings.risk_limits)
        self._interval_ns = round(max(settings.min_interval_s, 1.0) * _SECOND)
        self._patience_ns = round(settings.pace.persistence_s * _SECOND)
        self._looked_ns: int | None = None
        self._seen_version = -1

    def is_due(self, now_ns: int) -> bool:
        """Return whether to look: a few times a second, and when an order has changed, while there are any."""
        if not self._foreign:
            return False
        is_time = self._looked_ns is None or now_ns - self._looked_ns >= _LOOK_NS
        return is_time or self._orders.resting.version != self._seen_version

    def resize(self, m: Moment, limit: np.ndarray, done: Actions) -> None:
        """Add what the orders call for.

        Args: `limit` (T,) base leverage x factors within the caps, for where nothing is held and either side may be.
        """
        self._looked_ns = m.now_ns
        self._place_anew(m, limit, done)
        for s in range(len(m.specs)):
            followed = self._foreign.of_symbol(s)
            # A flattening acts there too, and what rests would open again what it closes.
            is_left_alone = m.specs[s].symbol_id in self._hands_off and not self._guard.is_flattening
            if not followed or is_left_alone or m.bars[s] is not None:
                continue
            for side in (1, -1):
                orders = [f for f in followed if f.life.side == side and f.life.position_id is None]
                if orders:
                    self._side(m, float(limit[s]), s, side, orders, done)
        self._seen_version = self._orders.resting.version

    # -- how much -----------------------------------------------------------------------------------------------

    def _side(self, m: Moment, limit: float, s: int, side: int, orders: list[ForeignOrder], done: Actions) -> None:
        wished = sum(order.wish_left_cents for order in orders)
        resting = sum(order.life.left_cents for order in orders)
        room = self._room(m, limit, s, side, max(wished, resting))
        grown = 0
        for order in orders:
            share = order.wish_left_cents
            if wished > room.cents:
                share = room.cents * share // wished
            # What is being cut counts as it is until the venue has said so.
            standing = self._orders.resting.foreign_cents(s, side) + grown
            free = room.cents - standing + order.life.left_cents
            grown += self._step(m, s, order, share, free, room, done)

    def _room(self, m: Moment, limit: float, s: int, side: int, wished: int) -> Room:
        spec, unit, row = m.specs[s], float(m.prices.unit_notional[s]), m.targets.rows[s]
        held = self._portfolio.own_cents(spec.symbol_id)
        leverage = self._leverage(m, limit, s, side, held)
        target = target_volume_cents(spec, held, float(row["target"]), unit, m.equity)
        before = side * held + self._orders.found.ours_growing_cents(s, side)
        if target * side > 0:
            before = max(before, target * side)
        room, is_known = wished, math.isfinite(leverage) and unit > 0 and m.equity > 0
        if is_known:
            room = max(math.floor(100 * leverage * m.equity / unit + 1e-6) - before, 0)
        why = f"leverage allows {side * leverage:+.2f}x, held {float(m.held[s]):+.2f}x"
        view, most = m.view(), min(room, wished)
        # What nobody has asked the broker about is no reason to take an order back, and one not to make it larger.
        lenient = replace(view, new_orders=_as_known(view.new_orders))
        fits, verdict = self._fits(lenient, s, spec, side, held, before, most)
        strict = verdict
        if isinstance(verdict, ApprovedTarget) and view.new_orders is not None:
            _, strict = self._fits(view, s, spec, side, held, before, most)
        is_refused = strict != verdict or isinstance(strict, Refused)
        if isinstance(verdict, Refused):
            why = verdict.reason
        elif verdict is not None and verdict.note:
            why = verdict.note
        may_grow = is_known and int(row["bound"]) in LETS_STAY and self._guard.trading == "active" and not m.bar
        is_calm = not self._settings.pace.heeds_crisis or m.table["crisis_level"][s] < 1
        may_grow = may_grow and is_calm and not is_refused
        room = min(room, fits) if fits is not None else room
        approved = None if isinstance(verdict, Refused) else verdict
        return Room(room, side * leverage, is_known, is_refused, may_grow, approved, why)

    def _leverage(self, m: Moment, limit: float, s: int, side: int, held: int) -> float:
        """Return how far a side may go, in equities, positive; NaN where unknown."""
        goal = float(m.targets.rows[s]["goal"])
        is_open = self._settings.symbols[s].direction == "follow" and held == 0
        if not is_open or m.bar:
            return goal if math.isnan(goal) else max(side * goal, 0.0)
        level = float(m.table["crisis_level"][s]) if self._settings.pace.heeds_crisis else 0.0
        most = min(limit, float(m.targets.rows[s]["cap"]) * _SHARE_OF_LIMIT) if limit == limit else math.nan
        return most * (crisis_multiplier(level) if level >= 1 else 1.0)

    def _fits(
        self, view: RiskView, s: int, spec: SymbolSpec, side: int, held: int, before: int, wished: int
    ) -> tuple[int | None, ApprovedTarget | Refused | None]:
        """Return what of `wished` the gate's limits let be added to `before`; None where they cannot be told now."""
        growing = wished + min(before, 0)  # what only takes away from the other side needs no leave
        if growing < spec.min_volume_cents:
            return wished, None
        start = max(before, 0)
        pending = np.zeros(len(view.leverage)) if view.pending_units is None else view.pending_units.copy()
        pending[s] = side * (start - max(side * held, 0)) / 100  # ours comes first; theirs is what is asked about
        seen = replace(view, pending_units=pending, orders_last_minute=0)
        asked = side * start, side * (start + growing)
        verdict = self._gate.review(seen, s, spec, *asked, foreign=False, rests=True)
        if isinstance(verdict, ApprovedTarget):
            added = abs(verdict.target_cents) - start
            is_whole = growing - added < spec.step_volume_cents  # it has only been put on the grid
            return wished if is_whole else added + start - before, verdict
        if verdict.check in _LIMITS and verdict.value is not None:
            return start - before, verdict
        return None, verdict

    # -- what to do ---------------------------------------------------------------------------------------------

    def _step(self, m: Moment, s: int, order: ForeignOrder, allowed: int, free: int, room: Room, done: Actions) -> int:
        """Bring one order nearer to what it may be; return by how much it is to grow.

        Args: `allowed` its share of the room; `free` what the other orders of its side leave of that as they are now.
        """
        life, spec, now_ns = order.life, m.specs[s], m.now_ns
        left = life.left_cents
        if not life.is_working or life.order_id is None or self._orders.resting.is_altered(life):
            return 0
        if now_ns < life.quiet_until_ns:
            return 0
        if left > allowed:
            order.roomy_ns = None
            self._cut(m, s, order, allowed, room, done)
            return 0
        if not order.is_in_place and not life.is_stuck and self._may_amend(s, life.changed_ns, now_ns):
            self._amend(m, s, order, left, room, done, reduces=False, why="as its owner has changed it meanwhile")
            return 0
        spared = spec.round_volume(allowed * _SHARE_OF_ROOM)
        wanted = order.wish_left_cents if allowed >= order.wish_left_cents else spared
        is_worth_it = wanted - left >= max(spec.step_volume_cents, round(_GROWTH_FRAC * left)) and wanted <= free
        if not room.may_grow or not is_worth_it:
            order.roomy_ns = None
            return 0
        order.roomy_ns = now_ns if order.roomy_ns is None else order.roomy_ns
        is_patient = now_ns - order.roomy_ns >= self._patience_ns and now_ns >= life.grows_again_ns
        if is_patient and not life.is_stuck and self._may_amend(s, life.changed_ns, now_ns):
            self._amend(m, s, order, wanted, room, done, reduces=False, why=f"given back: {room.why}")
            return wanted - left
        return 0

    def _may_amend(self, s: int, changed_ns: int, now_ns: int) -> bool:
        """Return whether there is time and order rate for an amendment that protects from nothing."""
        most = advances_a_minute(self._settings.risk_limits.max_orders_per_minute)
        return (
            now_ns - changed_ns >= self._interval_ns
            and self._guard.sent_last_minute(now_ns) < most
            and not self._orders.busy(s, now_ns)
            and not self._orders.resting.is_held(AmendOrder, now_ns)
        )

    def _may_place(self, s: int, now_ns: int) -> bool:
        """Return whether a new order may be sent: none of the symbol is unknown, and the minute has room for it."""
        has_room = self._guard.sent_last_minute(now_ns) < self._settings.risk_limits.max_orders_per_minute
        is_held = self._orders.is_kind_held(PlaceOrder, now_ns)
        return has_room and not is_held and not self._orders.busy(s, now_ns)

    def _cut(self, m: Moment, s: int, order: ForeignOrder, allowed: int, room: Room, done: Actions) -> None:
        spec, life = m.specs[s], order.life
        rest = spec.round_volume(allowed * _SHARE_OF_ROOM) or spec.round_volume(allowed)
        is_held = self._orders.resting.is_held(AmendOrder, m.now_ns)
        if rest and not life.is_stuck and not is_held:
            self._amend(m, s, order, rest, room, done, reduces=True, why=f"cut: {room.why}")
            return
        if self._orders.resting.is_held(CancelOrder, m.now_ns):
            return
        why = f"taken back, less than the least volume would be left: {room.why}"
        if rest:
            order.anew_cents = rest
            what = "takes no amends now" if is_held else "did not let it be cut"
            why = f"taken back to be placed anew as {spec.lots(rest):g} lots, the venue {what}: {room.why}"
        self._cancel(m, s, order, room, done, why)

    def _amend(
        self, m: Moment, s: int, order: ForeignOrder, rest: int, room: Room, done: Actions, *, reduces: bool, why: str
    ) -> None:
        assert order.life.order_id is not None
        request = AmendOrder(
            client_order_id=self._maker.take_id(),
            symbol_id=order.life.symbol_id,
            order_id=order.life.order_id,
            volume_cents=order.life.executed_cents + rest,
            reduces_risk=reduces,
            **terms(order.wish),
        )
        self._foreign.ask(order, request)
        self._alter(m, s, order, request, rest, room, done, why)

    def _cancel(self, m: Moment, s: int, order: ForeignOrder, room: Room, done: Actions, why: str) -> None:
        assert order.life.order_id is not None
        request = CancelOrder(self._maker.take_id(), order.life.symbol_id, order.life.order_id)
        order.cancel_id = request.client_order_id
        self._alter(m, s, order, request, order.life.left_cents, room, done, why)

    def _alter(
        self,
        m: Moment,
        s: int,
        order: ForeignOrder,
        request: AmendOrder | CancelOrder,
        volume: int,
        room: Room,
        done: Actions,
        why: str,
    ) -> None:
        action = "amend" if isinstance(request, AmendOrder) else "cancel"
        intended = self._intended(m, s, order, action, request.client_order_id, volume, room, why)
        self._orders.resting.altered(intended, order.life, request, m.now_ns)
        done.intended.append(intended)
        done.requests.append(request)
        self._guard.order_sent(m.now_ns)

    def _place_anew(self, m: Moment, limit: np.ndarray, done: Actions) -> None:
        """Place what has been taken back for that, no larger than it may be: the next look cuts or grows it."""
        ended, self._foreign.ended = self._foreign.ended, []
        for order in ended:
            s, rest = order.life.symbol_index, min(order.anew_cents, order.wish_left_cents)
            if not self._may_place(s, m.now_ns):
                self._foreign.ended.append(order)  # it waits: its owner would have it placed late rather than never
                continue
            side = order.life.side
            room = self._room(m, float(limit[s]), s, side, rest)
            rest = m.specs[s].round_volume(min(rest, room.cents))
            if rest and room.is_refused and self._guard.trading == "active" and not m.bar:
                self._foreign.ended.append(order)
                continue
            if rest == 0 or m.bar or self._guard.trading != "active" or m.bars[s] is not None:
                continue
            assert order.life.order_id is not None
            own_id = id_for_owner(self._maker.take_id(), order.life.order_id)
            request = PlaceOrder(
                client_order_id=own_id,
                symbol_id=order.life.symbol_id,
                volume_cents=side * rest,
                order_type=order.wish.order_type,
                label=self._settings.style.label,
                comment=order.wish.comment,
                **terms(order.wish),
            )
            why = f"somebody else's order {order.life.order_id} placed anew under our label: {room.why}"
            intended = self._intended(m, s, order, "place", own_id, rest, room, why)
            life = self._orders.sent(intended, s, order.life.symbol_id, request, m.now_ns, grows=True, for_owner=True)
            wish = replace(order.wish, volume_cents=side * order.wish_left_cents)
            self._foreign.add(ForeignOrder(life, wish, replace(wish, volume_cents=side * rest)))
            done.intended.append(intended)
            done.requests.append(request)
            self._guard.order_sent(m.now_ns)

    def _intended(
        self, m: Moment, s: int, order: ForeignOrder, action: str, own_id: str, volume: int, room: Room, why: str
    ) -> IntendedOrder:
        spec, wish, verdict = m.specs[s], order.wish, room.verdict
        kind = wish.order_type.replace("_", " ")
        lots = spec.lots(order.wish_left_cents)
        return IntendedOrder(
            symbol=spec.name,
            action=action,
            side="buy" if order.life.side > 0 else "sell",
            volume_cents=volume,
            lots=spec.lots(volume),
            order_type=line_type(wish.order_type),
            position_id=None,
            order_id=None if action == "place" else order.life.order_id,
            client_order_id=own_id,
            leverage_now=known(float(m.held[s])),
            leverage_target=known(room.leverage),
            reason=f"manage all: the owner's {kind} of {lots:g} lots {why}",
            predicted_slippage_bps=None,
            margin_before=verdict.margin_before if verdict is not None else None,
            margin_after=verdict.margin_after if verdict is not None else None,
            margin_level_after=verdict.margin_level_after if verdict is not None else None,
        )


def _as_known(new_orders: NewOrders | None) -> NewOrders | None:
    """Return what is known of the margin of new orders without what the broker is still to be asked: a size that nobody
    has asked about is no reason to take somebody else's order back."""
    if new_orders is None:
        return None
    anything = np.full_like(new_orders.known_usd, math.inf)
    return replace(new_orders, known_usd=anything, bars=(None,) * len(new_orders.bars))
