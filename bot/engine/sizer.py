"""How much is wanted of every symbol now: the strategy's factors, and the targets that the rules make of them.

How it works: what the rules take of each symbol is written into one sheet by a compiled pass, the slow parts of it
(base, margin rate, who may not grow) only when they change.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit

from bot.engine.explained import Explanation, explained
from bot.engine.settings import EngineSettings
from bot.market.book import ASK, BID
from bot.market.delta import Record
from bot.market.evaluator import Evaluator
from bot.market.symbols import SymbolSpec
from bot.sizing.leverage import LeverageRules, Targets
from bot.sizing.quoting import as_quoting
from bot.sizing.strategy import Strategy, is_pure

_LONG, _SHORT, _FOLLOW, _SIGNAL = range(4)
_DIRECTIONS = {"long": _LONG, "short": _SHORT, "follow": _FOLLOW, "signal": _SIGNAL}


@njit(cache=True, error_model="numpy")
def _exit_leverage(
    tb: Record, st: Record, held: float, bids: int, asks: int, unit_notional: float, equity: float
) -> float:
    """Return the leverage that can be closed now within the bound on the cost of leaving; infinite where unknown.

    A long is closed against bids. To sell at once what costs more than the bound is what the bound is there to prevent:
    growth has ended, and the rest waits for a better price. What nobody knows is no reason to keep a risk.

    Args: `tb` and `st` the records of the feature table and the estimators; `bids` and `asks` the number of levels.
    Units: `held` leverage in equities; `unit_notional` and `equity` in deposit currency.   Source: models 14.5, 12.
    """
    if tb.is_spot_only > 0:
        return 0.0 if tb.spread_bps / 2 > st.exit_cost_cap_bps else math.inf
    is_long = held > 0
    units = tb.sell_capacity_units if is_long else tb.buy_capacity_units
    if units <= 0 or (bids if is_long else asks) == 0:
        return 0.0
    leverage = units * unit_notional / equity
    return leverage if leverage >= 0 else math.inf  # not a number, or no equity left: unknown


@njit(cache=True, error_model="numpy")
def _fill(
    inputs: np.ndarray,
    prices: np.ndarray,
    table: np.ndarray,
    state: np.ndarray,
    levels: np.ndarray,
    heads: np.ndarray,
    held: np.ndarray,
    directions: np.ndarray,
    signal: np.ndarray,
    side: np.ndarray,
    equity: float,
    heeds_touch: bool,
    now_ns: int,
) -> None:
    for s in range(len(side)):
        direction = directions[s] if s < len(directions) else _FOLLOW
        if direction == _SIGNAL:
            side[s] = signal[s]
        elif direction == _FOLLOW:
            side[s] = 0.0 if held[s] == 0 else math.copysign(1.0, held[s]) if held[s] == held[s] else math.nan
        else:
            side[s] = 1.0 if direction == _LONG else -1.0
    # `heeds_touch`: a size that the best level does not hold is traded by halves; `constant` wants all of it at once.
    for s in range(len(inputs)):
        row, price = inputs[s], prices[s]
        row.side, row.held, row.unit_notional = side[s], held[s], price.unit_notional
        row.watched_s = 0.0 if state[s].first_ns < 0 else (now_ns - state[s].first_ns) / 1e9
        row.minutes_s = state[s].minutes_s
        least = row.least_units * price.unit_notional / equity
        row.least_leverage = least if 0 < least < math.inf else 0.0
        row.touch_leverage = math.nan
        bids, asks = heads[s].level_count[BID], heads[s].level_count[ASK]
        if bids and asks and heeds_touch:
            smaller = min(levels[BID, s, bids - 1].size, levels[ASK, s, asks - 1].size) / 100.0
            row.touch_leverage = smaller * price.unit_notional / equity
        row.exit_leverage = _exit_leverage(table[s], state[s], held[s], bids, asks, price.unit_notional, equity)


class _Given(NamedTuple):
    """What the last targets were asked with."""

    prices: np.ndarray
    held: np.ndarray
    equity: float
    foreign: float
    shrink: float
    now_ns: int
    closing: bool


class Sizer:
    """The strategy of a run and the rules around it, for the symbols that are loaded.

    Args: `settings` of the run; its strategy is bound to the symbols once they are known.
    """

    def __init__(self, settings: EngineSettings) -> None:
        self.strategy: Strategy = settings.strategy
        self._settings = settings
        self._rules: LeverageRules | None = None
        self._places: dict[int, int] = {}
        self._traded = 0
        self._directions = np.array([_DIRECTIONS[c.direction] for c in settings.symbols], np.int64)
        # Quotes fill where they fill; the market only brings an inventory back within its bounds.
        self.quotes = as_quoting(settings.strategy) is not None
        if self.quotes:
            self._directions[self._directions == _SIGNAL] = _FOLLOW
        self._has_signal = bool((self._directions == _SIGNAL).any())
        self._has_means = False
        self._base = np.array([settings.base_leverage * c.weight for c in settings.symbols])
        self._side = np.empty(0)
        self._last: tuple[np.ndarray, Targets] | None = None
        self._given: _Given | None = None
        self._asked: Strategy | None = None  # the strategy once more, for what would be

    @property
    def base(self) -> np.ndarray:
        """Base leverage of the traded symbols, base_leverage x weight."""
        return self._base

    def load(self, specs: tuple[SymbolSpec, ...], traded: int) -> None:
        """Take the symbols; those that were there before carry on where they stood."""
        base = np.zeros(len(specs))
        base[:traded] = self._base[:traded]
        self.strategy = self._settings.strategy.bound(specs, base)
        # One of its own: factors are good until the next call, and that is the next decision's.
        self._asked = self._settings.strategy.bound(specs, base) if is_pure(self._settings.strategy) else None
        self._traded = traded
        self._side = np.full(len(specs), math.nan)
        self._last = self._given = None
        old, before = self._rules, self._places
        self._places = {spec.symbol_id: i for i, spec in enumerate(specs[:traded])}
        if old is None or before != self._places:
            settings, requires_caps = self._settings, self.strategy.requires_caps
            self._rules = LeverageRules(traded, settings.pace, settings.leverage_limits, requires_caps=requires_caps)
            if old is not None:
                self._rules.take_over(old, {i: before[k] for k, i in self._places.items() if k in before})
        assert self._rules is not None
        inputs = self._rules.inputs
        inputs["base"] = self._base[:traded]
        inputs["least_units"] = [spec.least_volume_cents / 100 for spec in specs[:traded]]
        inputs["max_units"] = [spec.max_volume_cents / 100 or math.inf for spec in specs[:traded]]

    def set_margin_rates(self, rates: np.ndarray) -> None:
        """Set margin / notional of the next unit of each traded symbol, (T,); NaN unknown."""
        assert self._rules is not None
        self._rules.inputs["margin_rate"] = rates

    def bar(self, barred: np.ndarray, holiday_factor: np.ndarray) -> None:
        """Say which symbols may not grow now and why, (T,) of `Bound`, and where it is a holiday, (S,) of factors."""
        assert self._rules is not None
        self._rules.inputs["barred"] = barred
        self._rules.inputs["holiday_factor"] = holiday_factor[: self._traded]

    def targets(
        self,
        evaluator: Evaluator,
        prices: np.ndarray,
        held: np.ndarray,
        *,
        equity: float,
        foreign: float,
        shrink: float,
        now_ns: int,
        closing: bool,
    ) -> tuple[np.ndarray, Targets]:
        """Return the factors, (F, S), and the targets of the traded symbols.

        Args: `prices` (S,) with the field `unit_notional`; `held` (S,) leverage of what is held; `foreign` sum of
            |leverage| of positions that are not ours to change; `shrink` below 1 when margin use is over its limit;
            `closing` wishes everything flat.
        """
        assert self._rules is not None
        table = evaluator.table
        self._given = _Given(prices, held, equity, foreign, shrink, now_ns, closing)
        factors, self._has_means = self._ask(
            self.strategy, evaluator, table, self._rules.inputs, self._side, self._given
        )
        self._last = (
            factors,
            self._rules.targets(table, factors, equity=equity, foreign=foreign, shrink=shrink, now_ns=now_ns),
        )
        return self._last

    def _ask(
        self,
        strategy: Strategy,
        evaluator: Evaluator,
        table: np.ndarray,
        inputs: np.ndarray,
        side: np.ndarray,
        given: _Given,
    ) -> tuple[np.ndarray, bool]:
        """Fill inputs and sides; return the factors, and whether means are stated."""
        books = evaluator.books
        signal = strategy.directions(table) if self._has_signal else side
        _fill(
            inputs, given.prices, table, evaluator.state, books.levels, books.heads,
            given.held, self._directions, signal, side, given.equity, strategy.requires_caps, given.now_ns,
        )  # fmt: skip
        if given.closing:
            inputs["side"] = 0.0
        factors = strategy.factors(table, side)
        stated = strategy.expected_returns(table)
        if stated is not None or self._has_means:
            self._take_means(inputs, stated)
        return factors, stated is not None

    def _take_means(self, inputs: np.ndarray, stated: tuple[np.ndarray, np.ndarray] | None) -> None:
        """Hand on what a strategy expects to earn. A mean that it states as unknown makes the Kelly cap unknown."""
        means, errors = inputs["expected_return"], inputs["expected_error"]
        if stated is None:
            means[:] = np.nan  # nobody states one any more
            return
        n = self._traded
        is_unknown = np.isnan(stated[0][:n])
        means[:] = np.where(is_unknown, 0.0, stated[0][:n])
        errors[:] = np.where(is_unknown, np.nan, stated[1][:n])

    @property
    def factors(self) -> np.ndarray | None:
        """The factors of the last targets, (F, S); None before there were any."""
        return None if self._last is None else self._last[0]

    def explanations(self, table: np.ndarray, specs: Sequence[SymbolSpec], held: np.ndarray) -> tuple[Explanation, ...]:
        """Return why the last targets are what they are, one of each traded symbol; none before there were any.

        Args: `table`, `specs` and `held` as they were then.
        """
        if self._last is None:
            return ()
        return tuple(self._explained(specs, table, s, *self._last, held) for s in range(self._traded))

    def _explained(
        self,
        specs: Sequence[SymbolSpec],
        table: np.ndarray,
        s: int,
        factors: np.ndarray,
        targets: Targets,
        held: np.ndarray,
    ) -> Explanation:
        names, limit = self.strategy.factor_names, self._settings.leverage_limits.max_symbol_leverage
        return explained(
            specs[s], table[s], names, factors[:, s], targets.rows[s],
            base=float(self._base[s]), held=float(held[s]), max_symbol_leverage=limit,
        )  # fmt: skip

    @property
    def traded(self) -> int:
        """How many of the loaded symbols are traded: the first ones."""
        return self._traded

    @property
    def can_preview(self) -> bool:
        """Whether the strategy may be asked what would be, and has been asked what is."""
        return self._asked is not None and self._given is not None

    def preview(
        self, evaluator: Evaluator, table: np.ndarray, specs: Sequence[SymbolSpec], s: int
    ) -> Explanation | None:
        """Return why one symbol's target would be what it would, had the last ones been asked for with another table.

        Nothing is remembered of it. None where it cannot be told, as while the strategy fails.
        """
        if self._asked is None or self._given is None or self._rules is None:
            return None
        inputs, given = self._rules.inputs.copy(), self._given
        factors, _ = self._ask(self._asked, evaluator, table, inputs, self._side.copy(), given)
        if self._asked.problem is not None:
            return None
        targets = self._rules.preview(
            inputs, table, factors,
            equity=given.equity, foreign=given.foreign, shrink=given.shrink, now_ns=given.now_ns,
        )  # fmt: skip
        return self._explained(specs, table, s, factors, targets, given.held)

    def note_growth(self, symbol_index: int, now_ns: int, slice_leverage: float | None = None) -> None:
        """Say that an increase of this symbol was sent: see `LeverageRules.note_growth`."""
        assert self._rules is not None
        self._rules.note_growth(symbol_index, now_ns, slice_leverage)
