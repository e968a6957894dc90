"""What the engine is told once, at start: no defaults of its own, the config has them."""

from dataclasses import dataclass

from bot.account.leverage_plan import Band, Window
from bot.account.risk import RiskLimits
from bot.engine.limit_watch import WatchLimits
from bot.execution.plan import OrderStyle
from bot.market.evaluator import EvaluatorSettings
from bot.sizing.leverage import LeverageLimits, Pace
from bot.sizing.strategy import Strategy


@dataclass(frozen=True, slots=True)
class SymbolChoice:
    """One symbol to trade: `direction` is long, short, follow or signal; `weight` multiplies the base leverage."""

    name: str
    direction: str
    weight: float


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Everything that shapes decisions and does not come from the venue. Units: as the names say.

    `calendar` heeds the windows of `bot.market.calendar`; `run_id` is the first part of every client order id, and
    differs between any two runs. A tolerance of None asks the broker nothing: for runs in which there is none to ask.
    """

    symbols: tuple[SymbolChoice, ...]
    strategy: Strategy
    base_leverage: float
    pace: Pace
    leverage_limits: LeverageLimits
    risk_limits: RiskLimits
    watch_limits: WatchLimits
    style: OrderStyle
    evaluator: EvaluatorSettings
    calendar: bool
    label: str
    manage_all: bool
    respect_manual_close: bool
    min_interval_s: float
    order_timeout_s: float
    settle_s: float
    max_daily_loss_frac: float
    max_drawdown_frac: float
    flatten_on_loss: bool
    flatten_on_stop: bool
    keep_on_stop: bool  # leave resting orders in the book when a run ends
    run_id: str
    expected_margin_tolerance_frac: float | None = None
    profit_tolerance_frac: float | None = None
    leverage_bands: tuple[Band, ...] = ()
    leverage_windows: tuple[Window, ...] = ()
