"""The risk gate: the only place where an `ApprovedTarget` is made. It fails closed.

How it works: a proposal is a change of our net position in one symbol. A reduction is let through unless the venue
could not take it; an increase must pass every check, each of which can be evaluated or refuses. An increase that is too
large is cut to the largest volume that fits, by bisection on the volume grid, and says what bound it.

Invariants: an order that increases risk crosses no limit; refusals carry check, value, limit and symbol.
"""

import math
from dataclasses import dataclass

from bot.account.market_risk import NO_GROWTH_LEVEL, MarketRisk
from bot.account.risk_view import RiskView
from bot.account.ways_out import WAYS_OUT
from bot.market.symbols import SymbolSpec

_OF_MARGIN = ("margin_use", "margin_level", "stop_out_distance")


@dataclass(frozen=True, slots=True)
class RiskLimits:
    """What may never be exceeded by an order that increases risk. Units: fractions, leverage in equities, seconds."""

    max_leverage: float
    max_symbol_leverage: float
    max_margin_use_frac: float
    min_margin_level_frac: float
    max_orders_per_minute: int
    stale_quote_s: float
    stop_out_level_frac: float = 0.5
    max_spread_bps: float | None = None
    heeds_crisis: bool = True


@dataclass(frozen=True, slots=True)
class Refused:
    """Why nothing is sent. `check` is a name of the contract; `value` and `limit` are None where there is text only."""

    symbol: str
    check: str
    value: float | None
    limit: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class ApprovedTarget:
    """A position that may be traded to. Made by `RiskGate.review` only; execution accepts nothing else.

    Units: volumes signed, 0.01 base unit; money in deposit currency; `margin_level_after` equity / used margin.
    Missing: margin figures are None where unknown, which only a reduction can be.
    """

    symbol_index: int
    held_cents: int
    target_cents: int
    margin_before: float | None
    margin_after: float | None
    margin_level_after: float | None
    note: str = ""


class RiskGate:
    """Reviews proposals against the limits."""

    def __init__(self, limits: RiskLimits) -> None:
        self._limits = limits

    def review(
        self,
        view: RiskView,
        symbol_index: int,
        spec: SymbolSpec,
        held_cents: int,
        target_cents: int,
        *,
        foreign: bool,
        rests: bool = False,
        reserve_cents: int = 0,
    ) -> ApprovedTarget | Refused:
        """Return what may be traded to, possibly less than proposed, or why nothing may.

        Args: `held_cents` our net position; `target_cents` the proposal; `foreign` somebody else's position stands in
            the symbol; `rests` that the order waits in the book, so that a reduction needs nobody there yet;
            `reserve_cents` what other people's resting orders may add on the side that grows. A flip is reviewed as the
            close that comes first.
        """
        s = symbol_index
        if target_cents * held_cents < 0:
            target_cents = 0
        if not view.ready:
            return Refused(spec.name, "not_ready", None, None, "the session is not ready")
        if view.closings and view.closings[s] is not None:
            return Refused(spec.name, "schedule", None, None, str(view.closings[s]))
        if foreign and view.netted:
            return Refused(
                spec.name,
                "foreign_position",
                None,
                None,
                "a position that is not ours stands in a netted account; close it, or use `manage: all`",
            )
        if view.access_rights in ("NO_TRADING", "NO_LOGIN"):
            return Refused(spec.name, "halted", None, None, f"the broker has set the account to {view.access_rights}")
        if spec.trading_mode.startswith("DISABLED"):
            return Refused(spec.name, "schedule", None, None, f"trading mode is {spec.trading_mode}")
        buying = target_cents > held_cents
        waits = rests and abs(target_cents) < abs(held_cents)
        if not waits and not (view.has_asks[s] if buying else view.has_bids[s]):
            side = "ask" if buying else "bid"
            return Refused(
                spec.name, "book_health", None, None, f"the {side} side of the book is empty: nobody to trade with"
            )
        before = view.used_margin()
        if abs(target_cents) <= abs(held_cents):
            return self._approve(view, s, held_cents, target_cents, before, "")
        refusal = self._bars_to_growth(view, s, spec, target_cents)
        if refusal is not None:
            return refusal
        return self._largest_that_fits(view, s, spec, held_cents, target_cents, before, reserve_cents)

    def _bars_to_growth(self, view: RiskView, s: int, spec: SymbolSpec, target_cents: int) -> Refused | None:
        """Return the first reason why this symbol may not grow at all."""
        limits, name = self._limits, spec.name
        quiet = float(view.quiet_s[s])
        if view.unsupported:
            return Refused(name, "halted", None, None, view.unsupported)
        if view.trading != "active":
            return Refused(name, "halted", None, None, f"trading is {view.trading}: {view.cause or 'only reductions'}")
        if spec.trading_mode != "ENABLED":
            return Refused(name, "schedule", None, None, f"trading mode is {spec.trading_mode}: only reductions")
        if target_cents < 0 and not spec.short_selling:
            return Refused(name, "schedule", None, None, "the broker does not allow short selling of this symbol")
        if not quiet <= limits.stale_quote_s:
            reason = f"no quote for {quiet:.1f} s, the limit is {limits.stale_quote_s:g} (risk.stale_quote_s)"
            return Refused(name, "stale_quote", _known(quiet), limits.stale_quote_s, reason)
        if view.doubtful[s]:
            return Refused(name, "book_health", None, None, "the book is crossed or disagrees with the spot price")
        if not (math.isfinite(view.equity) and view.equity > 0 and math.isfinite(view.unit_notional[s])):
            return Refused(
                name,
                "conversion_rate",
                None,
                None,
                "equity or the rate into the deposit currency is unknown (a price is missing or too old)",
            )
        if view.orders_last_minute >= limits.max_orders_per_minute:
            return Refused(
                name,
                "order_rate",
                float(view.orders_last_minute),
                float(limits.max_orders_per_minute),
                f"{view.orders_last_minute} orders in the last minute, the limit is {limits.max_orders_per_minute} "
                "(risk.max_orders_per_minute): wait, or raise it",
            )
        bar = None if view.new_orders is None else view.new_orders.bars[s]
        if bar is not None:
            return Refused(name, "expected_margin", bar.value, bar.limit, bar.reason)
        return None if view.market is None else self._market_bars(view.market, s, name)

    def _market_bars(self, market: MarketRisk, s: int, name: str) -> Refused | None:
        limits, level, spread = self._limits, float(market.crisis_level[s]), float(market.spread_bps[s])
        if limits.heeds_crisis and not level < NO_GROWTH_LEVEL:
            reason = f"crisis level {level:g}: only reductions, until it is below {NO_GROWTH_LEVEL}"
            return Refused(name, "crisis", _known(level), NO_GROWTH_LEVEL, reason)
        if limits.max_spread_bps is not None and not spread <= limits.max_spread_bps:
            reason = (
                f"the spread is {spread:.3g} bps, risk.max_spread_bps is {limits.max_spread_bps:g}: raise it, or wait"
            )
            return Refused(name, "exit_cost", _known(spread), limits.max_spread_bps, reason)
        return None

    def _breach(
        self, view: RiskView, s: int, spec: SymbolSpec, held_cents: int, target_cents: int, reserve_cents: int
    ) -> tuple[str, float, float] | None:
        """Return (check, value, limit) of the first limit that holding `target_cents` would cross."""
        limits = self._limits
        # One division at the end: what is exactly at a limit must not be past it by the last bit of a float.
        leverage = (abs(target_cents) + reserve_cents) * float(view.unit_notional[s]) / (100 * view.equity)
        if not leverage <= limits.max_symbol_leverage:
            return "max_symbol_leverage", leverage, limits.max_symbol_leverage
        total = view.leverage_elsewhere(s) + leverage
        if not total <= limits.max_leverage:
            return "max_leverage", total, limits.max_leverage
        change = (target_cents - held_cents) / 100
        buys, sells = view.side_units_after(s, change)
        if spec.max_exposure_cents and (buys + sells) * 100 > spec.max_exposure_cents:
            return "volume_limits", buys + sells, spec.max_exposure_cents / 100
        if view.new_orders is not None:
            side, units = (0, buys) if change > 0 else (1, sells)
            known_usd = float(view.new_orders.known_usd[side, s])
            if not (units * view.unit_notional_usd[s] <= known_usd or known_usd == math.inf):
                return "expected_margin", float(units * view.unit_notional_usd[s]), known_usd
        if view.market is not None:
            exit_breach = view.market.exit_breach(s, target_cents / 100)
            if exit_breach is not None:
                return "exit_cost", *exit_breach
        margin = view.used_margin(s, change)
        if not margin / view.equity <= limits.max_margin_use_frac:
            return "margin_use", margin / view.equity, limits.max_margin_use_frac
        if margin > 0 and not view.equity / margin >= limits.min_margin_level_frac:
            return "margin_level", view.equity / margin, limits.min_margin_level_frac
        stressed = view.stressed_level(margin, s, change)
        if not stressed >= limits.stop_out_level_frac:
            return "stop_out_distance", stressed, limits.stop_out_level_frac
        return None

    def _largest_that_fits(
        self,
        view: RiskView,
        s: int,
        spec: SymbolSpec,
        held_cents: int,
        target_cents: int,
        before: float,
        reserve: int,
    ) -> ApprovedTarget | Refused:
        side = 1 if target_cents > 0 else -1
        wanted = spec.round_volume(abs(target_cents - held_cents))
        if wanted == 0:
            return Refused(
                spec.name,
                "volume_limits",
                abs(target_cents - held_cents) / 100,
                spec.min_volume_cents / 100,
                f"{abs(target_cents - held_cents) / 100:g} units is below the least of {spec.min_volume_cents / 100:g}",
            )
        breach = self._breach(view, s, spec, held_cents, held_cents + side * wanted, reserve)
        if breach is None:
            return self._approve(view, s, held_cents, held_cents + side * wanted, before, "")
        step = spec.step_volume_cents
        low, high = spec.min_volume_cents // step - 1, wanted // step  # in steps: low fits or is too small, high breaks
        while high - low > 1:
            middle = (low + high) // 2
            if self._breach(view, s, spec, held_cents, held_cents + side * middle * step, reserve) is None:
                low = middle
            else:
                high = middle
        # What binds is what the next step would break, not the first of all that the wish would.
        check, value, limit = (
            self._breach(view, s, spec, held_cents, held_cents + side * high * step, reserve) or breach
        )
        fits = spec.round_volume(low * step)
        lowered = _lowered(view, s) if check in _OF_MARGIN else ""
        if fits == 0:
            unknown = not math.isfinite(value)
            reason = f"{check} would be {value:.3g}, the limit is {limit:g}{lowered}; {WAYS_OUT[check]}"
            if unknown:
                reason = f"{check} cannot be computed"
            return Refused(spec.name, check, _known(value), _known(limit), reason)
        note = (
            f"cut from {wanted / 100:g} to {fits / 100:g} units: {check} would be {value:.3g}, the limit is {limit:g}"
            f"{lowered}"
        )
        return self._approve(view, s, held_cents, held_cents + side * fits, before, note)

    def _approve(
        self, view: RiskView, s: int, held_cents: int, target_cents: int, before: float, note: str
    ) -> ApprovedTarget:
        reduces = abs(target_cents) < abs(held_cents)
        after = view.used_margin(s, (target_cents - held_cents) / 100, reduces=reduces)
        level = view.equity / after if after > 0 else math.nan
        return ApprovedTarget(s, held_cents, target_cents, _known(before), _known(after), _known(level), note)


def _lowered(view: RiskView, s: int) -> str:
    """Return what the config says of a lower leverage for new orders, as a part of a reason; empty for nothing."""
    ratio = math.inf if view.new_orders is None else float(view.new_orders.leverage_caps[s])
    if not ratio < (view.margin_rules.leverage or math.inf):
        return ""
    return f" (new orders at 1:{ratio:g}, by risk.leverage_windows or risk.leverage_bands)"


def _known(number: float) -> float | None:
    return number if math.isfinite(number) else None
