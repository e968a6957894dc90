"""What others may look at of an engine: what it knows, holds and last decided. Nothing here changes anything."""

import numpy as np

from bot.account.account import AccountState
from bot.account.portfolio import Portfolio, Valuation
from bot.account.trading import Cause
from bot.engine.account_guard import AccountGuard
from bot.engine.bookkeeping import Bookkeeping
from bot.engine.explained import Explanation
from bot.engine.fill_watch import FillWatch
from bot.engine.order_flow import OrderFlow
from bot.engine.prices import PriceBoard
from bot.engine.readiness import Readiness
from bot.engine.sizer import Sizer
from bot.engine.standing_market import standing_market
from bot.engine.what_if import SpreadDoubled, if_spread_doubles
from bot.execution.fill_quality import FillQuality
from bot.execution.in_flight import OwnOrder
from bot.execution.orders import OrderSnapshot
from bot.market.book import BookArrays
from bot.market.evaluator import Evaluator, Features
from bot.market.symbols import SymbolSpec
from bot.sizing.leverage import Targets
from bot.sizing.strategy import Strategy


class ObservedEngine:
    """The parts of an engine that its observers read."""

    _portfolio: Portfolio
    _guard: AccountGuard
    _orders: OrderFlow
    _bookkeeping: Bookkeeping
    _fills: FillWatch
    _sizer: Sizer
    _readiness: Readiness
    _board: PriceBoard
    _evaluator: Evaluator | None
    _specs: tuple[SymbolSpec, ...]
    _usual: dict[str, dict[str, object]]
    _targets: Targets | None
    _valuation: Valuation
    _stopping: bool
    _now_ns: int

    @property
    def features(self) -> Features | None:
        """The market as of the last batch; None before the symbols are known."""
        return self._evaluator.features if self._evaluator else None

    @property
    def table(self) -> np.ndarray | None:
        """The same as one array, (S,) of `bot.market.feature_table.FEATURES`; read-only, and used again."""
        return self._evaluator.table if self._evaluator else None

    @property
    def books(self) -> BookArrays | None:
        """The books as of the last batch; None before the symbols are known."""
        return self._evaluator.books if self._evaluator else None

    @property
    def specs(self) -> tuple[SymbolSpec, ...]:
        """Every loaded symbol, traded ones first."""
        return self._specs

    def standing_market(self) -> dict[str, object]:
        """Return the market as it stands, as plain JSON: see `bot.engine.standing_market`."""
        return standing_market(self._bookkeeping.loaded, self.books, is_ready=self._readiness.session_ready)

    def left_order(self, order_id: int) -> OrderSnapshot | None:
        """What the venue says of an order of ours that an earlier run has left there; None for any other."""
        return self._orders.found.left_order(order_id)

    @property
    def portfolio(self) -> Portfolio:
        """Positions and balance."""
        return self._portfolio

    @property
    def account(self) -> AccountState | None:
        """The account's settings; None before it was loaded."""
        return self._guard.account

    @property
    def valuation(self) -> Valuation:
        """Equity and leverage at the prices of the last decision."""
        return self._valuation

    @property
    def trading(self) -> str:
        """active, reducing or halted."""
        return self._guard.trading

    @property
    def causes(self) -> tuple[Cause, ...]:
        """Why trading is not free, oldest first."""
        return self._guard.states.causes

    @property
    def is_stopping(self) -> bool:
        """Whether the run is to end."""
        return self._stopping

    @property
    def is_halted_by_limit(self) -> bool:
        """Whether a limit of the config, not a person, has halted trading, and we are READY.

        A halt that an earlier run has left stands before anybody knows what is still open.
        """
        return self._readiness.session_ready and self._guard.states.is_halted_by_limit

    @property
    def losses(self) -> tuple[float, float]:
        """The day's loss and the fall from the highest equity, as the limits count them; fractions, NaN unknown."""
        return self._guard.losses

    @property
    def open_orders(self) -> list[OwnOrder]:
        """Our orders without a final state, oldest first: on their way, resting, or unknown."""
        return self._orders.look()

    @property
    def orders_last_minute(self) -> int:
        """Orders, amends, cancels and closes that count towards the rate limit at the last decision."""
        return self._guard.sent_last_minute(self._now_ns)

    @property
    def hands_off(self) -> tuple[str, ...]:
        """The symbols that are left alone since somebody else closed a position of ours in them."""
        ids = self._bookkeeping.hands_off
        return tuple(spec.name for spec in self._specs if spec.symbol_id in ids)

    @property
    def strategy(self) -> Strategy:
        """The leverage model of this run."""
        return self._sizer.strategy

    @property
    def targets(self) -> Targets | None:
        """What the leverage rules said at the last decision; None before the symbols are known."""
        return self._targets

    @property
    def factors(self) -> np.ndarray | None:
        """The strategy's factors at the last decision, (F, S), good until the next; None before there were any."""
        return self._sizer.factors

    @property
    def held_units(self) -> np.ndarray:
        """What is held of each loaded symbol by positions of ours, (S,) signed base units; treat as read-only."""
        return self._portfolio.own_units()

    def explanations(self) -> tuple[Explanation, ...]:
        """Return why each traded symbol's leverage is what it is; none before READY, or once the run is to stop."""
        if self._evaluator is None or self._stopping or not self._readiness.session_ready:
            return ()
        return self._sizer.explanations(self._evaluator.table, self._specs, self._valuation.leverage)

    def if_spread_doubles(self) -> tuple[SpreadDoubled, ...]:
        """Return what each traded symbol's leverage would be if its spread doubled; none when nothing is explained."""
        if self._evaluator is None or self._stopping or not self._readiness.session_ready:
            return ()
        return if_spread_doubles(self._sizer, self._evaluator, self._specs, self._now_ns)

    @property
    def fill_quality(self) -> FillQuality | None:
        """What our own fills have taught; None before the symbols are known."""
        return self._fills.quality

    def decided(self, client_order_id: str) -> tuple[float | None, float | None]:
        """Return the mid that an order of late was decided at, and its predicted cost in bps; None unknown."""
        return self._fills.decided(client_order_id)

    @property
    def memory_version(self) -> int:
        """Grows with every change of `guard_memory` but for figures: it is then to be kept at once."""
        return self._guard.states.version + self._bookkeeping.version

    @property
    def wishes_version(self) -> int:
        """Grows with every change of what is known of owners' wishes: it is to be kept before an order is altered."""
        return self._bookkeeping.wishes_version

    def guard_memory(self) -> dict[str, object]:
        """Return what a later run is to know, as `GuardRestored` takes it: of `AccountGuard` and of `Bookkeeping`."""
        return self._guard.memory() | self._bookkeeping.memory()

    @property
    def listed_to_ns(self) -> int | None:
        """Until when the venue's lists of orders and deals have told everything; None before a complete answer."""
        return self._orders.look_ups.listed_to_ns

    def usual(self) -> dict[str, dict[str, object]]:
        """Return what is known of usual values by symbol, as `UsualRestored` takes it back in a later run."""
        known = dict(self._usual)
        if self._evaluator is not None:
            known |= {spec.name: self._evaluator.usual_content(s) for s, spec in enumerate(self._specs)}
        return known

    def quote_rate(self, symbol_index: int) -> float:
        """Return a symbol's quote currency in deposit currency at the last known prices; NaN if unknown."""
        return float(self._board.now(self._now_ns).quote_rate[symbol_index])
