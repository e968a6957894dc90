"""An engine at a desk: one-line builders for what happens to it, and a hand-moved clock."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import strategies
from bot.account.account import AccountState
from bot.account.conversion import ConversionStep
from bot.account.position import Deal, Position
from bot.account.risk import RiskLimits
from bot.engine import events as ev
from bot.engine.decision import Decision
from bot.engine.engine import Engine
from bot.engine.limit_watch import WatchLimits
from bot.engine.settings import EngineSettings, SymbolChoice
from bot.execution.orders import OrderSnapshot
from bot.execution.plan import OrderStyle
from bot.execution.requests import ClosePosition, PlaceOrder
from bot.market.delta import (
    CLEAR_BOOK,
    DEPTH_ASK,
    DEPTH_BID,
    END_DEPTH,
    END_SPOT,
    SPOT_ASK,
    SPOT_BID,
    delta_rows,
)
from bot.market.evaluator import EvaluatorSettings
from bot.market.symbols import SymbolSpec
from bot.sizing.leverage import LeverageLimits, Pace

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND

EURUSD = SymbolSpec(1, "EURUSD", "EUR", "USD", 5, 4, 10_000_000, 100_000, 100_000, 10**12)
USDJPY = SymbolSpec(2, "USDJPY", "USD", "JPY", 3, 2, 10_000_000, 100_000, 100_000, 10**12)
SPECS = {"EURUSD": EURUSD, "USDJPY": USDJPY}
MIDS_E5 = {"EURUSD": 110_000, "USDJPY": 15_000_000}

QUICK = Pace(warm_up_s=0, persistence_s=0, max_increase_frac_per_min=None, band_frac=0.0)
LIMITS = RiskLimits(
    max_leverage=10,
    max_symbol_leverage=8,
    max_margin_use_frac=0.5,
    min_margin_level_frac=1.5,
    max_orders_per_minute=30,
    stale_quote_s=5,
)


def settings(**changes: Any) -> EngineSettings:
    """Build the settings of a quick engine that wants 2x EURUSD; `changes` by field name."""
    fields: dict[str, Any] = {
        "symbols": (SymbolChoice("EURUSD", "long", 1.0),),
        "strategy": strategies.load("constant", {}),
        "base_leverage": 2.0,
        "pace": QUICK,
        "leverage_limits": LeverageLimits(8, 10),
        "risk_limits": LIMITS,
        "watch_limits": WatchLimits(0.5, 5.0, 5.0, 50.0, LIMITS.min_margin_level_frac),
        "style": OrderStyle("market_range", 2.0, "microlev"),
        "evaluator": EvaluatorSettings(),
        "calendar": False,
        "label": "microlev",
        "manage_all": False,
        "respect_manual_close": True,
        "min_interval_s": 1.0,
        "order_timeout_s": 10.0,
        "settle_s": 3.0,
        "max_daily_loss_frac": 0.02,
        "max_drawdown_frac": 0.1,
        "flatten_on_loss": True,
        "flatten_on_stop": False,
        "keep_on_stop": False,
        "run_id": "r1",
    }
    return EngineSettings(**(fields | changes))


class Desk:
    """One engine, its clock, and everything it has decided."""

    def __init__(self, *names: str, balance: str = "10000", leverage: float = 500, **changes: Any) -> None:
        self.names = names or ("EURUSD",)
        if "symbols" not in changes:
            changes["symbols"] = tuple(SymbolChoice(name, "long", 1.0) for name in self.names)
        self.engine = Engine(settings(**changes))
        self.now_ns = START
        self.decisions: list[Decision] = []
        self.account = AccountState(7, "USD", Decimal(balance), 1, leverage)
        self._ids = 1000

    # -- what happens -------------------------------------------------------------------------------------------

    def hear(self, *events: ev.Event) -> Decision:
        """Let events happen now, and return what the engine decides."""
        for event in events:
            self.engine.receive(event)
        decision = self.engine.decide(self.now_ns)
        self.decisions.append(decision)
        return decision

    def answer_history(self, orders: tuple[OrderSnapshot, ...] = (), positions: tuple[Position, ...] = ()) -> Decision:
        """Let the venue answer what became of our orders: a reconcile, then its lists."""
        history = ev.OrderHistoryListed(self.now_ns, 0, orders, (), complete=True)
        return self.hear(ev.Reconciled(self.now_ns, positions, ()), history)

    def wait(self, seconds: float) -> Decision:
        """Let time pass, second by second, as the driver's timer does; return the last decision."""
        end = self.now_ns + round(seconds * SECOND)
        decision = None
        while self.now_ns < end:
            self.now_ns = min(end, self.now_ns + SECOND)
            decision = self.hear()
        assert decision is not None
        return decision

    def loaded(self, *specs: SymbolSpec, traded: int | None = None) -> ev.SymbolsLoaded:
        """Return the event that names the symbols, with chains into USD."""
        specs = specs or tuple(SPECS[name] for name in self.names)
        index = {spec.name: i for i, spec in enumerate(specs)}
        chains: dict[str, tuple[ConversionStep, ...]] = {"USD": ()}
        if "EURUSD" in index:
            chains["EUR"] = (ConversionStep(index["EURUSD"], False),)
        if "USDJPY" in index:
            chains["JPY"] = (ConversionStep(index["USDJPY"], True),)
        count = len(self.names) if traded is None else traded
        return ev.SymbolsLoaded(self.now_ns, specs, count, chains, chains)

    def begin(self, *positions: Position) -> Decision:
        """Bring the engine to READY with these positions and fresh, deep books."""
        self.hear(
            ev.AccountLoaded(self.now_ns, self.account),
            self.loaded(),
            ev.Reconciled(self.now_ns, positions, ()),
            ev.ReadinessChanged(self.now_ns, ("subscribing",)),
        )
        for name in self.names:
            self.quote(name)
        return self.hear(ev.ReadinessChanged(self.now_ns, ()))

    def quote(self, name: str = "EURUSD", mid_e5: int | None = None, half_e5: int = 1, **sizes: int) -> Decision:
        """Let a new spot price and a new three-level book arrive."""
        s = self.names.index(name)
        mid = MIDS_E5[name] if mid_e5 is None else mid_e5
        bid_size, ask_size = sizes.get("bid_cents", 10**10), sizes.get("ask_cents", 10**10)
        rows = [(CLEAR_BOOK, s, 0, 0, 0)]
        for i in range(3):
            if bid_size:
                rows.append((DEPTH_BID, s, 10 + i, mid - half_e5 - i, bid_size))
            if ask_size:
                rows.append((DEPTH_ASK, s, 20 + i, mid + half_e5 + i, ask_size))
        rows += [(END_DEPTH, s, 0, 0, 0), (SPOT_BID, s, 0, mid - half_e5, 0), (SPOT_ASK, s, 0, mid + half_e5, 0)]
        rows.append((END_SPOT, s, 0, 0, 0))
        return self.hear(ev.MarketDataChanged(self.now_ns, delta_rows(rows)))

    def pay(self, change: str, version: int) -> Decision:
        """Let money be paid in, or out when negative."""
        balance = self.engine.portfolio.balance
        assert balance is not None
        now = self.now_ns
        after, delta = balance + Decimal(change), Decimal(change)
        return self.hear(
            ev.ExecutionReported(now, "deposit_withdraw", balance=after, balance_version=version, balance_change=delta)
        )

    # -- what the venue answers ---------------------------------------------------------------------------------

    def fill(self, decision: Decision, share: float = 1.0) -> Decision:
        """Accept and fill every order of a decision at the middle of the market."""
        events: list[ev.Event] = []
        for request in decision.requests:
            if isinstance(request, PlaceOrder | ClosePosition):
                events += self.answers(request, share)
        return self.hear(*events)

    def answers(self, request: PlaceOrder | ClosePosition, share: float = 1.0) -> list[ev.Event]:
        """Return acceptance and fill of one request."""
        self._ids += 10
        order_id = self._ids
        position_id = request.position_id or self._ids + 1
        spec = next(s for s in self.engine.specs if s.symbol_id == request.symbol_id)
        features = self.engine.features
        assert features is not None
        price = spec.round_price(float(features.mid[self.engine.specs.index(spec)]))
        signed = request.volume_cents
        if isinstance(request, ClosePosition):
            held = self.engine.portfolio.position(request.position_id)
            assert held is not None
            signed = -request.volume_cents if held.volume_cents > 0 else request.volume_cents
        filled = round(signed * share)
        order = OrderSnapshot(
            order_id,
            spec.symbol_id,
            signed,
            0,
            "market",
            "accepted",
            client_order_id=request.client_order_id,
            position_id=position_id,
            label="microlev",
            closing=isinstance(request, ClosePosition),
        )
        deal = Deal(order_id + 2, order_id, position_id, spec.symbol_id, filled, price, Decimal(0), self.now_ns)
        done = replace(order, executed_cents=abs(filled), status="filled", execution_price=price)
        kind = "filled" if share == 1 else "partially_filled"
        events: list[ev.Event] = [
            ev.ExecutionReported(self.now_ns, "accepted", request.client_order_id, order),
            ev.ExecutionReported(self.now_ns, kind, request.client_order_id, done, deal),
        ]
        if share < 1:
            gone = replace(done, status="cancelled")
            events.append(ev.ExecutionReported(self.now_ns, "cancelled", request.client_order_id, gone))
        return events

    # -- what came of it ----------------------------------------------------------------------------------------

    @property
    def held(self) -> float:
        """Leverage of the first symbol at the last prices."""
        return float(self.engine.valuation.leverage[0])

    def lines(self, kind: str) -> list[Any]:
        """Return every `intended`, `refused`, `order_changes` or `requests` entry so far, in order."""
        return [entry for decision in self.decisions for entry in getattr(decision, kind)]

    def reasons(self) -> tuple[str, ...]:
        """Return the reasons that were reported last."""
        return next(d.state.reasons for d in reversed(self.decisions) if d.state is not None)


def position(
    volume_cents: int, *, position_id: int = 5, symbol_id: int = 1, price: float = 1.1, **fields: Any
) -> Position:
    """Build a position of ours."""
    return Position(position_id, symbol_id, volume_cents, price, **({"label": "microlev"} | fields))
