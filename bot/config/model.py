"""The typed configuration: every key, its default, its limits, and one sentence on what it means.

Unknown keys are refused everywhere. `bot.config.loading` reads a file into this model; rules that compare keys with
each other live in `bot.config.rules`.

Units: as the key names say; `_s` seconds, `_bps` 1/10000, `_frac` a plain fraction (0.05 is five in a hundred).
"""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr, SecretStr, StrictBool, StrictStr, model_validator

from bot.config.errors import ConfigError
from bot.config.section import (
    Band,
    Fraction,
    NotNegative,
    Number,
    Port,
    Positive,
    PositiveWhole,
    Section,
    UserPath,
    Whole,
)
from bot.config.sizing_rules import SizingRules
from bot.config.source import ConfigSource
from bot.config.watching import AlertsConfig, TelemetryConfig

Environment = Literal["simulator", "demo", "live"]
Direction = Literal["long", "short", "follow", "signal"]


class VenueConfig(Section):
    """Where the bot connects."""

    environment: Environment = Field(
        "demo", description="Which venue: the embedded `simulator`, or the broker's `demo` or `live` servers."
    )
    host: StrictStr | None = Field(None, description="Host name instead of the environment's own.")
    port: Port | None = Field(None, description="TCP port instead of the environment's own.")
    ca_file: UserPath | None = Field(
        None, description="PEM file of trusted roots; it replaces the system's roots. Needed for the simulator."
    )
    oauth_url: StrictStr | None = Field(None, description="OAuth server instead of the environment's own.")
    connect_timeout_s: Positive = Field(
        30.0, description="Seconds from start to the first READY; when they are over the command exits with 4."
    )


class AccountConfig(Section):
    """Which trading account."""

    id: PositiveWhole | None = Field(
        None,
        description="ctidTraderAccountId, from `microlev auth accounts`; not the login number shown in cTrader. "
        "Required for demo and live; the simulator's first account is taken when it is left out.",
    )
    label: Annotated[StrictStr, Field(min_length=1, max_length=100)] = Field(
        "microlev", description="Written on every order; tells the bot's orders and positions from everybody else's."
    )


class CredentialsConfig(Section):
    """Who we are. Secrets belong in the environment or in the token file, not in this file."""

    client_id: SecretStr | None = Field(
        None, description="Client id of the Open API application. Default: the variable CTRADER_CLIENT_ID."
    )
    client_secret: SecretStr | None = Field(
        None, description="Client secret of the Open API application. Default: the variable CTRADER_CLIENT_SECRET."
    )
    access_token: SecretStr | None = Field(
        None, description="Access token; wins over the token file and is never refreshed."
    )
    token_file: UserPath = Field(
        Path("~/.config/microlev/token.json"),
        description='JSON {"access_token", "refresh_token", "expires_at"}, readable by you alone (mode 0600).',
    )


class SymbolConfig(Section):
    """How one symbol is traded."""

    direction: Direction = Field(
        "long",
        description="`long`, `short`, `follow` (keep the sign of what is held) or `signal` (the strategy decides).",
    )
    weight: Positive = Field(1.0, description="Share of the strategy's base leverage: base = base_leverage x weight.")


class StrategyConfig(Section):
    """What decides the leverage."""

    name: Annotated[StrictStr, Field(min_length=1)] = Field(
        "composite",
        description="A built-in strategy, the path of a Python file, or the name under which a package offers one.",
    )
    base_leverage: Positive = Field(5.0, description="Leverage of a symbol of weight 1 in a normal market.")
    on_error: Literal["hold", "flatten"] = Field(
        "hold", description="When a strategy of your own fails: hold what is held (`hold`), or close it (`flatten`)."
    )
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="The strategy's own parameters; see the strategy for names and defaults."
    )


class SizingConfig(Section):
    """How the leverage is calmed down before it becomes a target.

    All but `crisis` is off for `constant`, unless a key is given.
    """

    warm_up_s: NotNegative = Field(60.0, description="Seconds of market data before the first increase.")
    persistence_s: NotNegative = Field(30.0, description="Seconds that a higher leverage must last to be followed.")
    max_increase_frac_per_min: Fraction | None = Field(
        0.25, description="Largest increase in a minute, as a fraction of the base leverage; null for no limit."
    )
    band: Band = Field(
        "auto",
        description="No trade while the target is this near, as a fraction of the base leverage; `auto` weighs costs.",
    )
    calendar: StrictBool = Field(
        True, description="No growth around the roll-over and the weekend; a holiday halves the base."
    )
    time_of_day: StrictBool = Field(True, description="Compare liquidity with what is usual at this time of day.")
    crisis: StrictBool = Field(True, description="The guard that reduces when liquidity vanishes.")


class LeverageBand(Section):
    """What the broker makes of the account's leverage while equity is at or above a sum."""

    equity_from: NotNegative = Field(description="Equity in deposit currency from which on the band applies.")
    leverage: Positive = Field(description="The account's leverage within it, as a plain ratio (200 for 1:200).")


class LeverageWindow(Section):
    """A time in which the broker lowers the leverage of new positions, as around an announcement."""

    at: datetime = Field(description="The moment of the announcement, with its time zone (2026-12-04T13:30:00Z).")
    minutes_before: NotNegative = Field(15.0, description="Minutes before it in which the window is open.")
    minutes_after: NotNegative = Field(15.0, description="Minutes after it in which the window is open.")
    leverage: Positive = Field(description="Leverage of new positions within it, as a plain ratio (50 for 1:50).")
    symbols: list[StrictStr] = Field(default_factory=list, description="The symbols it concerns; none given: all.")


class RiskConfig(Section):
    """What may never be exceeded."""

    max_leverage: Positive = Field(
        10.0, description="Bound of the sum of |leverage| over all positions of the account, ours or not."
    )
    max_symbol_leverage: Positive = Field(8.0, description="Bound of |leverage| of one symbol.")
    max_margin_use_frac: Fraction = Field(0.5, description="Bound of used margin / equity after an order.")
    min_margin_level_frac: Positive = Field(
        3.0, description="Least equity / used margin after an order (3.0 means 300 in a hundred)."
    )
    stop_out_level_frac: Positive = Field(
        0.5, le=1, description="Equity / used margin at which the broker closes positions; ask your broker."
    )
    expected_margin_tolerance_frac: Fraction = Field(
        0.05, description="How far our margin may lie from the broker's expected margin."
    )
    max_daily_loss_frac: Fraction = Field(0.02, description="Loss limit of a trading day, as a fraction of equity.")
    max_drawdown_frac: Fraction = Field(0.1, description="Loss limit from the highest equity, as a fraction of it.")
    on_loss_limit: Literal["flatten", "halt"] = Field(
        "flatten", description="At a loss limit: close our positions (`flatten`) or only stop trading (`halt`)."
    )
    max_orders_per_minute: PositiveWhole = Field(
        30, description="New, amend, cancel and close together; reductions are counted but never refused."
    )
    stale_quote_s: Positive = Field(5.0, description="A quote older than this cannot be traded on for an increase.")
    max_spread_bps: Positive | None = Field(
        None, description="No increase while the spread is wider than this, in 1/10000; null: the crisis guard's rule."
    )
    max_reject_frac: Fraction = Field(
        0.5, description="Share of refused orders, of the last twenty, from which on only reductions are sent."
    )
    max_slippage_beyond_bps: Positive = Field(
        5.0,
        description="Mean slippage beyond what was predicted, of the last ten fills, from which on only reductions.",
    )
    max_clock_step_s: Positive = Field(
        5.0, description="Step of the machine's clock from which on only reductions are sent."
    )
    min_disk_free_mb: NotNegative = Field(
        50.0, description="Free space where the ledger and the journal are, below which only reductions are sent."
    )
    profit_tolerance_frac: Fraction = Field(
        0.002, description="How far our unrealised profit may lie from the broker's, as a fraction of equity."
    )
    leverage_bands: list[LeverageBand] = Field(
        default_factory=list,
        description="Leverage that the broker lowers as equity grows, so that sizing sees it come.",
    )
    leverage_windows: list[LeverageWindow] = Field(
        default_factory=list, description="Times of lowered leverage for new positions, so that sizing sees them come."
    )


class ExecutionConfig(Section):
    """How a target becomes orders."""

    order_type: Literal["market_range", "market", "limit"] = Field(
        "market_range", description="`market_range` bounds the slippage, `market` does not, `limit` rests in the book."
    )
    max_slippage_bps: Positive = Field(2.0, description="Largest slippage of a market-range order, in 1/10000.")
    stop_loss_bps: Positive | None = Field(
        None, description="Protective stop of every position of ours, this far from its entry, in 1/10000; null: none."
    )
    take_profit_bps: Positive | None = Field(
        None,
        description="Protective target of every position of ours, this far from its entry, in 1/10000; null: none.",
    )
    slicing: Literal["none", "almgren-chriss"] = Field(
        "almgren-chriss", description="Send an order whole (`none`) or in slices (`almgren-chriss`)."
    )
    min_interval_s: NotNegative = Field(1.0, description="Least time between two orders on a symbol.")
    order_timeout_s: Positive = Field(10.0, description="Without a final answer for this long an order is unknown.")
    settle_s: NotNegative = Field(3.0, description="Wait after an unknown order is resolved, before another one.")


class RecordingConfig(Section):
    """Where market data and decisions are written, in which pieces, and how much of it is kept."""

    directory: UserPath | None = Field(None, description="Folder of the journals; null records nothing.")
    segment_mb: Positive = Field(
        64.0, description="Megabytes (uncompressed) after which a journal goes on in another file, the next segment."
    )
    segment_minutes: Positive = Field(
        60.0, description="Minutes after which a journal goes on in another file, however small it is."
    )
    max_disk_gb: Positive | None = Field(
        None, description="Gigabytes that segments may take in the folder; the oldest are removed. null: no limit."
    )


class StateConfig(Section):
    """Where the bot keeps what it must remember."""

    directory: UserPath | None = Field(
        None,
        description="Ledger, usual values, control socket, stop file; null: the user's state folder, one per account.",
    )


class SwapConfig(Section):
    """What holding a symbol's position over 17:00 New York costs. Units: bps of notional a night, below 0 a charge."""

    long_bps: Number = Field(0.0, description="Of a long position; Wednesday counts as three nights.")
    short_bps: Number = Field(0.0, description="Of a short position.")


class BacktestConfig(Section):
    """What a backtest assumes of the account, its costs and the way to the venue. A live run does not look at it."""

    balance: Positive = Field(100_000.0, description="The account's balance at the start, in deposit currency.")
    deposit_currency: StrictStr = Field("USD", description="The account's currency.")
    account_type: Literal["hedged", "netted"] = Field("hedged", description="How positions of one symbol live.")
    leverage: PositiveWhole = Field(30, description="The account's leverage; the symbol's tiers may allow less.")
    commission_per_million: NotNegative = Field(30.0, description="USD per million USD traded, each side.")
    swaps: dict[str, SwapConfig] = Field(default_factory=dict, description="By symbol; one that is not named has none.")
    latency: StrictStr = Field(
        "50ms:250ms", description="One way to the venue: `20ms`, `50ms:250ms` (median:p95), or `ledger` (as measured)."
    )
    clock_s: NotNegative = Field(1.0, description="Seconds between decisions; 0 decides on every message, as live.")
    resilience_half_life_s: NotNegative = Field(
        5.0, description="How fast the book refills what we took; 0: at once, without own impact."
    )
    reject_dead_quotes: StrictBool = Field(
        True,
        description="A market order whose price has gone when it arrives is rejected; else it takes what there is.",
    )
    calibration_days: PositiveWhole = Field(
        3, description="Days at the start that only teach what is usual, and match the arms of a comparison."
    )
    calibration_minutes: PositiveWhole | None = Field(
        None, description="Minutes in place of those days, for short recordings; null: the days count."
    )


class RangeConfig(Section):
    """What a sweep may try for one key: from `low` to `high`, or one of `choices`."""

    low: Whole | Number | None = Field(None, description="The least value; with `high`.")
    high: Whole | Number | None = Field(None, description="The largest value, itself included.")
    step: Positive | None = Field(
        None, description="Only whole steps from `low`; a whole `low` and step: whole values."
    )
    log: StrictBool = Field(False, description="Search on a logarithmic scale; `low` above 0, no `step`.")
    choices: list[bool | int | float | str | None] | None = Field(None, description="The values to try, instead.")

    @model_validator(mode="after")
    def _one_kind(self) -> "RangeConfig":
        if self.choices is not None:
            if len(self.choices) < 2 or self.model_fields_set != {"choices"}:
                raise ValueError("`choices` should be two values or more, and stand alone")
            return self
        if self.low is None or self.high is None:
            raise ValueError("should hold `low` and `high`, or `choices`")
        if not self.low < self.high:
            raise ValueError(f"low {self.low:g} should be below high {self.high:g}")
        if self.step is not None and (self.log or self.step > self.high - self.low):
            raise ValueError("`step` should not exceed high - low, and does not go with `log`")
        if self.log and not self.low > 0:
            raise ValueError(f"low {self.low:g} should be above 0 for `log`")
        return self


class SweepConfig(Section):
    """What a sweep searches, and by which figure it chooses. A run does not look at it."""

    metric: StrictStr = Field("net_sharpe", description="The figure that decides; `docs/metrics.md` has their names.")
    direction: Literal["maximize", "minimize"] | None = Field(
        None, description="Whether more of the figure is better; null: known of returns, costs and drawdowns."
    )
    train_frac: Annotated[Number, Field(gt=0, lt=1)] = Field(
        0.7, description="Share of the days that the choice is made on; the rest tests it."
    )
    embargo_days: Annotated[Whole, Field(ge=0)] = Field(1, description="Days between train and test, in neither.")
    ranges: dict[str, RangeConfig] = Field(default_factory=dict, description="By key of the config, `sizing.band`.")


class Config(Section):
    """The whole configuration of a run."""

    venue: VenueConfig = Field(default_factory=VenueConfig, description="Where the bot connects.")
    account: AccountConfig = Field(default_factory=AccountConfig, description="Which trading account.")
    credentials: CredentialsConfig = Field(default_factory=CredentialsConfig, description="Who we are.")
    mode: Literal["dry-run", "trade"] = Field(
        "dry-run", description="`dry-run` shows the orders it would send; `trade` sends them."
    )
    symbols: Annotated[dict[str, SymbolConfig], Field(min_length=1)] = Field(
        description="The broker's symbol names, each with its own keys; `{}` takes the defaults."
    )
    manage: Literal["own", "all"] = Field(
        "own", description="`own`: only positions and orders with our label; `all`: every one of the account."
    )
    on_stop: Literal["cancel", "keep", "flatten"] = Field(
        "cancel", description="On a stop: cancel our resting orders, keep them, or close our positions as well."
    )
    on_manual_close: Literal["respect", "reopen"] = Field(
        "respect", description="A position closed by hand: hands off that symbol until `resume`, or open it again."
    )
    strategy: StrategyConfig = Field(default_factory=StrategyConfig, description="What decides the leverage.")
    sizing: SizingConfig = Field(default_factory=SizingConfig, description="How the leverage is calmed down.")
    risk: RiskConfig = Field(default_factory=RiskConfig, description="What may never be exceeded.")
    execution: ExecutionConfig = Field(default_factory=ExecutionConfig, description="How targets become orders.")
    recording: RecordingConfig = Field(default_factory=RecordingConfig, description="Where journals are written.")
    state: StateConfig = Field(default_factory=StateConfig, description="Where the bot keeps what it remembers.")
    telemetry: TelemetryConfig = Field(default_factory=TelemetryConfig, description="Who may look on, and where.")
    alerts: AlertsConfig = Field(default_factory=AlertsConfig, description="Who is told of what.")
    backtest: BacktestConfig = Field(default_factory=BacktestConfig, description="What a backtest assumes.")
    sweep: SweepConfig = Field(default_factory=SweepConfig, description="What a sweep tries.")

    _source: ConfigSource = PrivateAttr(default_factory=ConfigSource)

    def error_at(self, key: str, text: str) -> ConfigError:
        """Return the error to raise about a key (`risk.max_leverage`), with the file and line it was written on."""
        return self._source.error_at(tuple(key.split(".")), text)

    def as_dry_run(self) -> "Config":
        """Return this configuration with `mode: dry-run`: what `--dry-run` asks for, never the other way round."""
        return self.model_copy(update={"mode": "dry-run"})

    def without_recording(self) -> "Config":
        """Return this configuration for a run that writes no journal."""
        return self.model_copy(update={"recording": RecordingConfig()})

    def without_telemetry(self) -> "Config":
        """Return this configuration for a run that nobody is to look at: it opens no port."""
        return self.model_copy(update={"telemetry": TelemetryConfig()})

    def effective_sizing(self) -> SizingRules:
        """Return the sizing rules in force: for `constant` only what the file gives, for the others every rule."""
        return SizingRules.in_force(self.strategy.name, self.sizing.model_dump(), self.sizing.model_fields_set)
