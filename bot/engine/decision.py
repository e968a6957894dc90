"""What the engine decided at one moment, in a form that can be compared bit for bit."""

import json
import struct
from dataclasses import asdict, dataclass

import numpy as np

from bot.account.position import Deal
from bot.account.risk import Refused
from bot.execution.requests import Request
from bot.sizing.strategy import MAX_FACTORS

DECISION_ROW = np.dtype(
    [
        ("symbol", np.int64),
        ("mid", np.float64),
        ("spread_bps", np.float64),
        ("bid_depth_units", np.float64),
        ("ask_depth_units", np.float64),
        ("weighted_mid", np.float64),
        ("obi", np.float64),
        ("ofi", np.float64),
        ("impact_bps", np.float64),
        ("fill_frac", np.float64),
        ("liquidity_ratio", np.float64),
        ("crisis_level", np.float64),
        ("leverage_now", np.float64),
        ("leverage_goal", np.float64),
        ("leverage_target", np.float64),
        ("bound", np.int64),
        ("factors", np.float64, (MAX_FACTORS,)),
    ]
)
"""One row a traded symbol that changed in the batch. Units as in `Features`; leverage signed, in equities; `impact_bps`
the estimated impact of the base leverage on the side we would leave by; `bound` what holds the target back
(`bot.sizing.bound`); unused factors are NaN."""


@dataclass(frozen=True, slots=True)
class IntendedOrder:
    """An order that is planned, in every mode the same. Units: as the contract's `intended_order` line says."""

    symbol: str
    action: str
    side: str
    volume_cents: int
    lots: float
    order_type: str
    position_id: int | None
    order_id: int | None
    client_order_id: str
    leverage_now: float | None
    leverage_target: float | None
    reason: str
    predicted_slippage_bps: float | None
    margin_before: float | None
    margin_after: float | None
    margin_level_after: float | None


@dataclass(frozen=True, slots=True)
class OrderChange:
    """One of our orders moved to another state."""

    order: IntendedOrder
    state: str
    order_id: int | None
    position_id: int | None
    executed_cents: int
    execution_price: float | None
    error_code: str | None
    paper: bool


@dataclass(frozen=True, slots=True)
class CountedDeal:
    """A deal of the account, the first time that it counted: what the ledger keeps of it.

    `cause` is `ours`, `manual`, `stop_out`, `protection` or `unknown` (found in a list, by nobody's word). `is_own`
    says that the position it moved is ours, whoever moved it.
    Units: as `bot.account.position.Deal`; `decision_mid` the mid that the order was decided at, `predicted_bps` what it
        was to cost against that.
    Missing: None where it was not an order of this run, or is not known.
    """

    deal: Deal
    symbol: str
    client_order_id: str | None
    cause: str
    decision_mid: float | None = None
    predicted_bps: float | None = None
    is_own: bool = False


@dataclass(frozen=True, slots=True)
class DealMark:
    """Where the price was some time after a deal. Units: `delay_s` as planned; costs bps, positive against us."""

    deal_id: int
    delay_s: int
    mid: float
    realised_bps: float
    impact_bps: float
    paper: bool


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that a person should know of and that is no order and no refusal; `symbol` None for the account."""

    code: str
    symbol: str | None
    text: str


@dataclass(frozen=True, slots=True)
class EngineState:
    """Whether the engine may trade and what stands in the way. `texts` says each reason to a person."""

    ready: bool
    reasons: tuple[str, ...]
    texts: tuple[str, ...]
    trading: str  # active | reducing | halted


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """Everything that followed from one batch.

    `state` is None while it has not changed. `requests` are in the order they are to be sent.
    """

    now_ns: int
    rows: np.ndarray
    intended: tuple[IntendedOrder, ...] = ()
    requests: tuple[Request, ...] = ()
    order_changes: tuple[OrderChange, ...] = ()
    refused: tuple[Refused, ...] = ()
    state: EngineState | None = None
    deals: tuple[CountedDeal, ...] = ()
    marks: tuple[DealMark, ...] = ()
    notices: tuple[Notice, ...] = ()

    @property
    def is_quiet(self) -> bool:
        """Whether nothing happened beyond new figures."""
        return not (
            self.intended
            or self.requests
            or self.order_changes
            or self.refused
            or self.state
            or self.deals
            or self.marks
            or self.notices
        )

    def encode(self) -> bytes:
        """Return the canonical bytes: equal Decisions and no others have equal bytes.

        Layout: i64 now_ns, u32 number of rows, the rows as they lie in memory, then JSON of the rest when it is not
        quiet. Floats in JSON are written so that they read back exactly, and money as text.
        """
        head = struct.pack("<qI", self.now_ns, len(self.rows)) + self.rows.tobytes()
        if self.is_quiet:
            return head
        loud = {
            "intended": [asdict(x) for x in self.intended],
            "requests": [{"request": type(x).__name__, **asdict(x)} for x in self.requests],
            "order_changes": [asdict(x) for x in self.order_changes],
            "refused": [asdict(x) for x in self.refused],
            "state": asdict(self.state) if self.state else None,
            "deals": [asdict(x) for x in self.deals],
            "marks": [asdict(x) for x in self.marks],
            "notices": [asdict(x) for x in self.notices],
        }
        return head + json.dumps(loud, separators=(",", ":"), default=str).encode()


def describe(encoded: bytes) -> dict[str, object]:
    """Return an encoded Decision as plain objects, for people and for finding the first difference."""
    now_ns, count = struct.unpack_from("<qI", encoded)
    end = 12 + count * DECISION_ROW.itemsize
    rows = np.frombuffer(encoded[12:end], DECISION_ROW)
    described: dict[str, object] = {
        "now_ns": now_ns,
        "rows": [{name: row[name].tolist() for name in DECISION_ROW.names or ()} for row in rows],
    }
    if len(encoded) > end:
        described.update(json.loads(encoded[end:]))
    return described
