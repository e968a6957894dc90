"""Changes of position on their way in slices, by symbol, and the market's figures that the slices are planned from.

How it works: an approved change that nothing hurries is sent as the first slice of a schedule (Almgren and Chriss, see
`bot.execution.slicing`); what remains is planned anew, on the market of then, when the next is due. Where a figure is
not known, or slices gain nothing, it is one order.

Invariants: a slice lies between what is held and what the gate approved; all programmes together plan to use at most
half of the orders that a minute may have; in doubt a programme is forgotten, and the next order is made of the truth.
"""

import math
from collections.abc import Set

from bot.account.risk import ApprovedTarget
from bot.engine.settings import EngineSettings
from bot.execution.programme import Programme
from bot.execution.schedule import SlicesTooLong
from bot.execution.slicing import LONGEST_S, MarketCosts, Slice, next_slice
from bot.market.evaluator import Evaluator
from bot.market.symbols import SymbolSpec
from bot.sizing.bound import Bound
from bot.sizing.leverage import Targets

_SECOND = 1_000_000_000
_SHARE_OF_RATE = 0.5
_LATE_NS = round(LONGEST_S * _SECOND)  # so long after its planned end it is given up
# What ends growth that has begun; patience and the band do not, they were satisfied at its start.
_ENDS_GROWTH = frozenset(
    {
        *(Bound.CRISIS, Bound.CALENDAR, Bound.NOT_READY, Bound.HANDS_OFF, Bound.UNKNOWN_FACTOR, Bound.UNKNOWN_CAP),
        *(Bound.EXIT_EMPTY, Bound.WARM_UP, Bound.QUOTES),
    }
)


class Programmes:
    """The programmes that run. `is_on` says whether the run slices at all; `running` holds them by symbol index."""

    def __init__(self, settings: EngineSettings) -> None:
        self.is_on = settings.style.is_sliced
        self._min_interval_s = settings.min_interval_s
        self._orders_a_minute = _SHARE_OF_RATE * settings.risk_limits.max_orders_per_minute
        self.running: dict[int, Programme] = {}

    def is_due(self, s: int, now_ns: int) -> bool:
        """Return whether a symbol's next slice may be sent."""
        return s in self.running and now_ns >= self.running[s].due_ns

    def waits(self, s: int, held: float, target: float, now_ns: int) -> bool:
        """Return whether a symbol is between two slices. Growth is over at once where the target now reduces.

        Units: `held` and `target` leverage, signed.
        """
        programme = self.running.get(s)
        if programme is None:
            return False
        if programme.grows and (abs(target) < abs(held) or target * held < 0):
            del self.running[s]
            return False
        return now_ns < programme.due_ns

    def forget(self, s: int) -> None:
        """Give up a symbol's programme: what comes next is made of the truth of then."""
        self.running.pop(s, None)

    def forget_all(self) -> None:
        """Give up every programme."""
        self.running.clear()

    def forget_all_in(self, doubted: Set[int], now_ns: int, *, growth_ends: bool) -> None:
        """Give up those of some symbols, those that are far beyond their time, and with `growth_ends` all growth."""
        for s, programme in list(self.running.items()):
            is_late = now_ns > programme.ends_ns + _LATE_NS
            if s in doubted or is_late or (growth_ends and programme.grows):
                del self.running[s]

    def end_cents(
        self,
        s: int,
        spec: SymbolSpec,
        held_cents: int,
        fresh_cents: int,
        targets: Targets,
        unit_notional: float,
        equity: float,
    ) -> int:
        """Return the position to trade to: that of the programme that runs, or what the rules ask for now.

        Units: signed, 0.01 base unit, a tradable change from `held_cents`; `unit_notional` and `equity` in deposit
            currency.
        """
        programme = self.running.get(s)
        if programme is None:
            return fresh_cents
        row = targets.rows[s]
        bound = Bound(int(row["bound"]))
        goal_cents = 100 * float(row["goal"]) * equity / unit_notional if unit_notional > 0 and equity > 0 else math.nan
        # Half way to the edge, taken anew after each slice, would never come to an end.
        fresh = held_cents if bound is Bound.TOUCH else fresh_cents
        end = programme.end_cents(held_cents, goal_cents, fresh)
        if end is None or (programme.grows and bound in _ENDS_GROWTH):
            del self.running[s]
            return fresh_cents
        if end == 0:
            return 0
        change = spec.round_volume(abs(end - held_cents))
        if change == 0:
            del self.running[s]
            return fresh_cents
        return held_cents + (change if end > held_cents else -change)

    def plan(
        self,
        s: int,
        spec: SymbolSpec,
        approved: ApprovedTarget,
        evaluator: Evaluator,
        cost_bps: float | None,
        mid: float,
        quote_rate: float,
        equity: float,
        now_ns: int,
    ) -> Slice | None:
        """Return the slice of an approved change that is to be sent now; None for all of it in one order.

        Args: `cost_bps` what the whole change would cost against the mid, walking the book, None unknown; `equity` in
            deposit currency, `quote_rate` that of the symbol's quote currency.
        """
        if not self.is_on:
            return None
        change = approved.target_cents - approved.held_cents
        if abs(change) < 2 * spec.min_volume_cents:
            return None  # a part and the rest must both be tradable
        programme = self.running.get(s)
        count = len(self.running) + (0 if programme is not None else 1)
        least_s = max(self._min_interval_s, 60.0 * count / self._orders_a_minute)
        left_s = LONGEST_S if programme is None else (programme.ends_ns - now_ns) / _SECOND
        market = _market_costs(evaluator, s, change, cost_bps, mid)
        if not (market.volatility >= 0 and market.impact_bps_per_unit >= 0):
            return None  # not known yet
        if market.reference_slip_bps <= market.half_spread_bps:
            return None  # the touch holds the reference size: the model has nothing to save by waiting
        try:
            planned = next_slice(
                change,
                spec,
                market,
                equity / quote_rate if quote_rate > 0 else math.nan,
                reducing=abs(approved.target_cents) < abs(approved.held_cents),
                least_slice_s=least_s,
                longest_s=left_s,
            )
        except (SlicesTooLong, ValueError):
            return None
        return planned if planned.volume_cents != change else None

    def sent(self, s: int, approved: ApprovedTarget, planned: Slice | None, now_ns: int) -> str:
        """Take that an order has left, one slice of an approved change or all of it; return what to say of it.

        The last slice keeps its programme until its fill is known: what it does not fill is carried out, too.
        """
        programme = self.running.get(s)
        if planned is None and programme is None:
            return ""
        if programme is None:
            assert planned is not None
            side = 1 if approved.held_cents + approved.target_cents > 0 else -1
            grows = abs(approved.target_cents) > abs(approved.held_cents)
            ends_ns = now_ns + round(planned.count * planned.slice_s * _SECOND)
            programme = self.running[s] = Programme(approved.target_cents, side, grows, now_ns, ends_ns)
        programme.target_cents = approved.target_cents
        programme.sent += 1
        if planned is None:
            programme.due_ns = now_ns + round(max(self._min_interval_s, 1.0) * _SECOND)
            return f"; slice {programme.sent} of {programme.sent}, the last"
        programme.due_ns = now_ns + round(planned.wait_s * _SECOND)
        about = programme.sent + planned.count - 1
        return f"; slice {programme.sent} of about {about}, {planned.slice_s:.1f} s apart"

    def postpone(self, s: int, now_ns: int) -> None:
        """Let a programme wait a moment: too many orders have been sent in the last minute."""
        if s in self.running:
            self.running[s].due_ns = now_ns + _SECOND


def _market_costs(evaluator: Evaluator, s: int, change_cents: int, cost_bps: float | None, mid: float) -> MarketCosts:
    """Return the figures of this moment. The reference size is the change itself, where the book holds it."""
    row, side_cost = evaluator.table[s], "buy_cost_bps" if change_cents > 0 else "sell_cost_bps"
    units, slip_bps = abs(change_cents) / 100, cost_bps
    reference_units = float(row["reference_units"])
    if slip_bps is None or not units > reference_units:
        units, slip_bps = reference_units, float(row[side_cost])
    return MarketCosts(
        mid=mid,
        half_spread_bps=max(float(row["spread_bps"]) / 2, 0.0),
        reference_units=units,
        reference_slip_bps=slip_bps,
        impact_bps_per_unit=float(row["lambda_bps_per_unit"]),
        volatility=float(row["volatility_bps"]) / 1e4,
        latency_s=float(evaluator.state[s]["latency_ns"]) / 1e9,
    )
