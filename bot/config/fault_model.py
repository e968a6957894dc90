"""The typed model of a fault file: when something goes wrong at the embedded venue, and what.

A class for each fault, named after its key. Fields that hold times are written as `30s`, `5m`, `250ms` and read as ns.
`bot.net.fault_script` turns the model into what the venue plays; here is only what can be said without the venue.
"""

import re
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    StrictBool,
    StrictStr,
    WithJsonSchema,
    model_validator,
)

from bot.config.section import PositiveWhole, Section
from bot.config.source import ConfigSource

_UNITS_NS = {
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
}
_PART = r"(\d+(?:\.\d+)?)(ms|s|m|h|d)"
_LONGEST_NS = 366 * _UNITS_NS["d"]


def parse_duration(given: Any) -> int:
    """Return a time written as `30s`, `1h30m` or `250ms` in ns.

    Raises: ValueError.
    """
    text = str(given).replace(" ", "")
    if isinstance(given, bool) or not re.fullmatch(rf"(?:{_PART})+", text):
        raise ValueError("should be a time with its unit: 250ms, 30s, 5m, 1h or 2d")
    total_ns = round(sum(Decimal(number) * _UNITS_NS[unit] for number, unit in re.findall(_PART, text)))
    if total_ns > _LONGEST_NS:
        raise ValueError("should be a year at most")
    return total_ns


def _several(given: Any) -> Any:
    return [given] if isinstance(given, str) else given


def _whole(given: Any) -> Any:
    if isinstance(given, bool):
        raise ValueError("should be a whole number, not true or false")
    return given


def _not_nothing(given: Any) -> Any:
    if isinstance(given, bool) or given == 0:
        raise ValueError("should be a number that is not 0")
    return given


_TIME_TEXT = {
    "type": "string",
    "pattern": rf"^({_PART} ?)+$",
    "examples": ["30s", "250ms", "1h30m"],
}
_NAMES_TEXT = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
Time = Annotated[int, BeforeValidator(parse_duration), WithJsonSchema(_TIME_TEXT)]
LongTime = Annotated[int, BeforeValidator(parse_duration), Field(gt=0), WithJsonSchema(_TIME_TEXT)]
Names = Annotated[tuple[StrictStr, ...], BeforeValidator(_several), Field(min_length=1), WithJsonSchema(_NAMES_TEXT)]
Money = Annotated[Decimal, BeforeValidator(_whole), Field(gt=0)]
Chance = Annotated[float, BeforeValidator(_whole), Field(gt=0, le=1)]
Whole = Annotated[int, BeforeValidator(_whole), Field(ge=0)]
Side = Literal["bid", "ask", "both"]
TradingModeName = Literal[
    "ENABLED", "DISABLED_WITHOUT_PENDINGS_EXECUTION", "DISABLED_WITH_PENDINGS_EXECUTION", "CLOSE_ONLY_MODE"
]


class Part(Section):
    """A group of keys; a default is not written as a file writes it."""

    model_config = ConfigDict(validate_default=False)


class Latency(Part):
    """Messages take longer."""

    inbound: Time = 0
    outbound: Time = 0
    jitter: Time = 0


class Split(Part):
    """Bytes leave in small segments."""

    size_bytes: PositiveWhole
    gap: Time = 0


class Merge(Part):
    """Messages leave together."""

    window: LongTime


class Drop(Part):
    """The connection ends."""

    when: Literal["before", "after_execution", "after_reply"] = "before"
    abort: StrictBool = False


class Silence(Part):
    """Nothing is sent or heard."""

    direction: Literal["both", "inbound", "outbound"] = "both"
    fate: Literal["lost", "late"] = "lost"


class Duplicate(Part):
    """An event comes twice."""

    gap: Time = 0


class Reorder(Part):
    """An event changes places with the next one."""

    within: LongTime = 1_000_000_000


class Late(Part):
    """An event is held back."""

    by: LongTime


class Reject(Part):
    """A request is refused."""

    code: StrictStr = Field(min_length=1)
    shape: Literal["error_res", "common", "order_error", "execution"] = "error_res"
    description: StrictStr = "refused by a fault of the simulator"


class NoReply(Part):
    """A request is not answered."""

    request: Literal["ignored", "executed"] = "ignored"


class PartialFill(Part):
    """The next order is filled in part."""

    fraction: Annotated[Chance, Field(lt=1)] = 0.5
    rest: Literal["cancelled", "filled"] = "cancelled"


class TokenInvalidated(Part):
    """A session ends because of its token."""

    reason: StrictStr = "the token was invalidated by a fault of the simulator"


class ClientDisconnect(Part):
    """The application is disconnected."""

    reason: StrictStr = "disconnected by a fault of the simulator"


class ExpireToken(Part):
    """The access token expires."""

    code: Literal["OA_AUTH_TOKEN_EXPIRED", "CH_ACCESS_TOKEN_INVALID"] = "OA_AUTH_TOKEN_EXPIRED"


class Block(Part):
    """Requests of some types are blocked."""

    requests: Names
    retry_after: LongTime
    tells_retry_after: StrictBool = True
    extends: StrictBool = False


class Rate(Part):
    """The limits on requests change."""

    requests_per_s: PositiveWhole | None = None
    historical_per_s: PositiveWhole | None = None
    count_refused: StrictBool | None = None
    block_after: PositiveWhole | None = None
    block_window: LongTime | None = None
    block_for: LongTime | None = None
    refused_extend: StrictBool | None = None
    tells_retry_after: StrictBool | None = None
    platform: StrictBool | None = None


class Maintenance(Part):
    """The server is under maintenance."""

    shape: Literal["error_res", "common"] = "error_res"
    connections: Literal["accepted", "refused"] = "accepted"


class MarginChange(Part):
    """The margin of open positions changes."""

    factor: Annotated[float, BeforeValidator(_whole), Field(gt=0, allow_inf_nan=False)]
    tiers: StrictBool = False


class LeverageChange(Part):
    """The account's leverage changes."""

    ratio: PositiveWhole


class AccessRights(Part):
    """What the account may do changes."""

    rights: Literal["FULL_ACCESS", "CLOSE_ONLY", "NO_TRADING", "NO_LOGIN"]


class SymbolChange(Part):
    """The broker changes a symbol."""

    min_volume_cents: PositiveWhole | None = None
    step_volume_cents: PositiveWhole | None = None
    max_volume_cents: PositiveWhole | None = None
    lot_size_cents: PositiveWhole | None = None
    leverage_id: PositiveWhole | None = None
    trading_mode: TradingModeName | None = None
    short_selling: StrictBool | None = None
    enabled: StrictBool | None = None


class ManualTrade(Part):
    """The account's owner trades by hand."""

    action: Literal["open", "close", "close_all", "cancel"] = "open"
    side: Literal["buy", "sell"] = "buy"
    volume_cents: PositiveWhole | None = None


class Transfer(Part):
    """Money comes in or goes out."""

    amount: Money


class TradingMode(Part):
    """A symbol's trading mode changes."""

    mode: TradingModeName


class Holiday(Part):
    """Today becomes a holiday."""

    start_s: Annotated[Whole, Field(lt=86_400)] = 0
    end_s: Annotated[Whole, Field(gt=0, le=86_400)] = 86_400


class EmptyBook(Part):
    """A side of the book is empty."""

    side: Side = "both"


class Shift(Part):
    """A symbol's prices are away from its market."""

    bps: Annotated[float, BeforeValidator(_not_nothing), Field(ge=-1_000, le=1_000, allow_inf_nan=False)]


class Bare(Part):
    """A fault with nothing to choose."""


class Entry(Part):
    """One fault: what sets it off, what it does (exactly one of the keys from `latency` on), how often, to whom."""

    at: Time | None = None
    every: LongTime | None = None
    jitter: Time = 0
    on_request: Names | None = None
    on_event: Names | None = None
    kind: Names | None = None
    on_connect: PositiveWhole | None = None
    nth: PositiveWhole = 1
    after: Time = 0
    times: PositiveWhole | Literal["always"] | None = None
    lasts: LongTime | None = Field(None, alias="for")
    probability: Chance = 1.0
    account: PositiveWhole | None = None
    symbol: StrictStr | None = None
    latency: Latency | None = None
    split: Split | None = None
    merge: Merge | None = None
    drop: Drop | None = None
    silence: Silence | None = None
    slow_reader: Bare | None = None
    duplicate: Duplicate | None = None
    reorder: Reorder | None = None
    late: Late | None = None
    lose_event: Bare | None = None
    reject: Reject | None = None
    no_reply: NoReply | None = None
    partial_fill: PartialFill | None = None
    account_disconnect: Bare | None = None
    token_invalidated: TokenInvalidated | None = None
    client_disconnect: ClientDisconnect | None = None
    expire_token: ExpireToken | None = None
    block: Block | None = None
    rate: Rate | None = None
    maintenance: Maintenance | None = None
    refuse_connections: Bare | None = None
    not_routable: Bare | None = None
    server_unreachable: Bare | None = None
    margin_change: MarginChange | None = None
    leverage_change: LeverageChange | None = None
    access_rights: AccessRights | None = None
    symbol_change: SymbolChange | None = None
    manual_trade: ManualTrade | None = None
    deposit: Transfer | None = None
    withdraw: Transfer | None = None
    close_market: Bare | None = None
    open_market: Bare | None = None
    trading_mode: TradingMode | None = None
    holiday: Holiday | None = None
    crossed_book: Bare | None = None
    empty_book: EmptyBook | None = None
    stop_quotes: Bare | None = None
    shift: Shift | None = None
    no_depth: Bare | None = None

    @model_validator(mode="before")
    @classmethod
    def _a_bare_name_means_defaults(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {key: {} if value is None and key in WHAT_KEYS else value for key, value in given.items()}

    @property
    def names(self) -> list[str]:
        """The faults it names; a valid entry has one."""
        return [key for key in WHAT_KEYS if getattr(self, key) is not None]


WHAT_KEYS = tuple(list(Entry.model_fields)[list(Entry.model_fields).index("latency") :])
"""The keys that say what goes wrong."""


class Random(Part):
    """Faults at random."""

    per_hour: Annotated[float, BeforeValidator(_whole), Field(gt=0, le=100_000, allow_inf_nan=False)]
    faults: tuple[Entry, ...] = Field(min_length=1)


class FaultFile(Part):
    """A whole file."""

    seed: Whole | None = None
    faults: tuple[Entry, ...] = ()
    random: Random | None = None
    _source: ConfigSource = PrivateAttr(default_factory=ConfigSource)

    @property
    def source(self) -> ConfigSource:
        """Where each key was written."""
        return self._source
