"""Everything the decision engine can be told. Events are past tense, frozen, and carry the time they were received.

`recv_ns` is our own clock: UTC nanoseconds since the epoch that never run backwards within a run. It orders everything.
"""

from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from bot.account.account import AccountState
from bot.account.conversion import ConversionStep
from bot.account.position import Deal, Position
from bot.execution.orders import OrderSnapshot
from bot.market.symbols import SymbolSpec


@dataclass(frozen=True, slots=True, eq=False)
class MarketDataChanged:
    """Quotes moved. Shapes: `rows` (N,) of `bot.market.delta.DELTA`, whole messages in the order received."""

    recv_ns: int
    rows: np.ndarray


@dataclass(frozen=True, slots=True)
class SymbolsLoaded:
    """The symbols of this run are known.

    `symbols[i]` has index i in every (S,) array; the first `traded_count` are traded, in the order of the config, the
    rest only convert money. `conversions` maps an asset name to the chain that turns one unit of it into deposit
    currency (empty chain for the deposit currency itself). `usd_conversions` is the same into USD, for tier volumes.
    """

    recv_ns: int
    symbols: tuple[SymbolSpec, ...]
    traded_count: int
    conversions: dict[str, tuple[ConversionStep, ...]]
    usd_conversions: dict[str, tuple[ConversionStep, ...]]


@dataclass(frozen=True, slots=True)
class LeverageTiersLoaded:
    """Dynamic leverage of one `leverage_id`: (upper bound of open volume in USD, leverage), ascending.

    Source: ProtoOADynamicLeverage; tier volume in USD cents / 100, leverage normalised to a plain ratio.
    """

    recv_ns: int
    leverage_id: int
    tiers: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class AccountLoaded:
    """The broker stated the account's balance and settings (at start, after a drop, or on a change)."""

    recv_ns: int
    account: AccountState


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The broker listed every open position and pending order of the account."""

    recv_ns: int
    positions: tuple[Position, ...]
    orders: tuple[OrderSnapshot, ...]


@dataclass(frozen=True, slots=True)
class ReadinessChanged:
    """The session moved: `reasons` says what still stands between us and READY; empty when nothing does.

    Codes: `connecting`, `authenticating`, `loading_account`, `loading_symbols`, `reconciling`, `subscribing`,
    `disconnected`, `account_disconnected`.
    """

    recv_ns: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExecutionReported:
    """The venue told of an order, a fill, or a change of balance.

    `kind`: accepted, filled, partially_filled, replaced, cancelled, expired, rejected, cancel_rejected, swap,
    deposit_withdraw, bonus. `client_order_id` is the order's own, or ours for a close (matched by message id).
    Source: ProtoOAExecutionEvent.
    """

    recv_ns: int
    kind: str
    client_order_id: str | None = None
    order: OrderSnapshot | None = None
    deal: Deal | None = None
    position: Position | None = None  # volume 0 when it is closed
    balance: Decimal | None = None
    balance_version: int | None = None
    balance_change: Decimal | None = None
    error_code: str | None = None
    paper: bool = False


@dataclass(frozen=True, slots=True)
class RequestRefused:
    """The venue refused one of our requests. Source: ProtoOAErrorRes or ProtoOAOrderErrorEvent."""

    recv_ns: int
    client_order_id: str | None
    error_code: str
    description: str = ""
    order_id: int | None = None
    position_id: int | None = None
    outcome_unknown: bool = False  # the code leaves open whether the venue acted (TIMEOUT_ERROR, unknown codes)
    retry_at_ns: int | None = None  # before when no request of this kind will leave: the venue has blocked it
    paper: bool = False


@dataclass(frozen=True, slots=True)
class MarginStated:
    """The broker changed the margin of a position. Units: deposit currency. Source: ProtoOAMarginChangedEvent."""

    recv_ns: int
    position_id: int
    used_margin: Decimal


@dataclass(frozen=True, slots=True)
class StopTrailed:
    """The broker moved the trailing stop of a position. Units: quote currency. Source: ProtoOATrailingSLChangedEvent.

    `order_id` is that of the protection, which is no order that anybody has placed; `moved_ns` the venue's time.
    """

    recv_ns: int
    position_id: int
    order_id: int
    stop_loss: float
    moved_ns: int


@dataclass(frozen=True, slots=True)
class OrderHistoryListed:
    """The answer to `ResolveOrders`: orders and deals since `from_ns`; a `Reconciled` comes just before it."""

    recv_ns: int
    from_ns: int
    orders: tuple[OrderSnapshot, ...]
    deals: tuple[Deal, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class ExpectedMarginStated:
    """The broker answered `AskExpectedMargin`: what a new order of each size would use, to buy and to sell.

    Units: volumes 0.01 base unit, positive; margin in deposit currency. Source: ProtoOAExpectedMarginRes.
    """

    recv_ns: int
    symbol_id: int
    margins: tuple[tuple[int, Decimal, Decimal], ...]


@dataclass(frozen=True, slots=True)
class ProfitStated:
    """The broker answered `AskProfit`: the unrealised profit of each open position, gross and net.

    Units: deposit currency; net counts swap and commission so far. Source: ProtoOAGetPositionUnrealizedPnLRes.
    """

    recv_ns: int
    profits: tuple[tuple[int, Decimal, Decimal], ...]


@dataclass(frozen=True, slots=True)
class CashChange:
    """A deposit or a withdrawal. Units: deposit currency; `delta` negative for a withdrawal, `balance` after it.

    Source: ProtoOADepositWithdraw.
    """

    delta: Decimal
    balance: Decimal
    balance_version: int | None
    changed_ns: int


@dataclass(frozen=True, slots=True)
class CashFlowStated:
    """The broker answered `AskCashFlow`: what was paid in and out since `from_ns`."""

    recv_ns: int
    from_ns: int
    changes: tuple[CashChange, ...]


@dataclass(frozen=True, slots=True)
class CommandGiven:
    """A person asked for something: `stop`, `halt`, `resume`, `flatten`.

    `cause` says where it came from: `by_hand` (control socket), `stop_file`; `text` is what the person said about it.
    """

    recv_ns: int
    command: str
    cause: str = "by_hand"
    text: str = ""


@dataclass(frozen=True, slots=True)
class HostChecked:
    """What the machine we run on says of itself.

    Units: `disk_free_bytes` where the ledger and the journal are, None unknown; `clock_step_s` how far the machine's
    clock has stepped against the run's own since its start, seconds, positive when it was set forward.
    """

    recv_ns: int
    disk_free_bytes: int | None
    clock_step_s: float


@dataclass(frozen=True, slots=True)
class OpenIntent:
    """An intent of an earlier run whose outcome its ledger does not know.

    Units: as `bot.execution.requests`; `volume_cents` signed by the side of the trade.
    """

    client_order_id: str
    symbol_id: int
    action: str
    volume_cents: int
    order_type: str
    created_ns: int
    position_id: int | None = None


@dataclass(frozen=True, slots=True)
class IntentsRestored:
    """What an earlier run's ledger leaves open: intents without a final state, whose outcome is unknown.

    `since_ns` is the time from which on deals may be missing in it; None for a ledger without any. `sent_ns` is when
    its last orders, amends, cancels and closes were sent: those of the last minute count towards the order rate.
    `deal_ids` are the deals that it has and the venue's lists may tell again: they are no news.
    """

    recv_ns: int
    intents: tuple[OpenIntent, ...]
    since_ns: int | None = None
    sent_ns: tuple[int, ...] = ()
    deal_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class GuardRestored:
    """What an earlier run of this account has kept of limits, hands-offs and wishes (see `guard_memory`)."""

    recv_ns: int
    content: dict[str, object]


@dataclass(frozen=True, slots=True)
class UsualRestored:
    """What an earlier run has learnt of what is usual, by symbol name (see `bot.market.seasonality`)."""

    recv_ns: int
    contents: dict[str, dict[str, object]]


Event = (
    MarketDataChanged
    | SymbolsLoaded
    | LeverageTiersLoaded
    | AccountLoaded
    | Reconciled
    | ReadinessChanged
    | ExecutionReported
    | RequestRefused
    | MarginStated
    | StopTrailed
    | OrderHistoryListed
    | ExpectedMarginStated
    | ProfitStated
    | CashFlowStated
    | CommandGiven
    | HostChecked
    | IntentsRestored
    | GuardRestored
    | UsualRestored
)
