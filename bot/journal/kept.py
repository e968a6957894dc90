"""What the ledger keeps beside intents, row by row: deals, mark-outs, refusals, notices, samples of the account.

Money is `Decimal` here and text in the file. Times are UTC nanoseconds.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal
from operator import attrgetter
from typing import Any

as_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_MONEY = frozenset({"commission", "gross_profit", "swap", "close_commission", "balance"})


@dataclass(frozen=True, slots=True)
class Intent:
    """One order we mean to send, or a close, amend or cancel.

    Units: `volume_cents` signed by the side of the trade, 0.01 base unit; times in UTC nanoseconds.
    Missing: `updated_ns` None in an intent not recorded yet; it starts as `created_ns`.
    """

    client_order_id: str
    run_id: str
    symbol_id: int
    action: str  # open | increase | reduce | close | place | amend | cancel
    volume_cents: int
    order_type: str
    created_ns: int
    position_id: int | None = None
    state: str = "planned"
    updated_ns: int | None = None
    error_code: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class KeptDeal:
    """A deal of the account.

    `is_own` says that the position it moved is ours; `cause` who did it (see `bot.engine.decision.CountedDeal`).
    Units: `volume_cents` signed by the side of the trade, 0.01 base unit; `lots` positive; money and `notional` in
        deposit currency; `executed_ns` by the venue's clock, `recorded_ns` by ours.
    Missing: None where the venue or the run did not know it; the four of a close in a deal that closed nothing.
    """

    deal_id: int
    order_id: int
    position_id: int
    client_order_id: str | None
    symbol: str
    is_own: bool
    cause: str
    volume_cents: int
    closed_volume_cents: int
    price: float
    commission: Decimal
    gross_profit: Decimal | None
    swap: Decimal | None
    close_commission: Decimal | None
    balance: Decimal | None
    balance_version: int | None
    executed_ns: int
    recorded_ns: int
    decision_mid: float | None
    predicted_bps: float | None
    lots: float | None
    notional: float | None


@dataclass(frozen=True, slots=True)
class KeptMark:
    """Where the price was some time after a deal. Units: bps of the mid of the decision, positive against us."""

    deal_id: int
    delay_s: int
    mid: float
    realised_bps: float
    impact_bps: float


@dataclass(frozen=True, slots=True)
class KeptRefusals:
    """The refusals of one check on one symbol within an hour: how many, and the last one."""

    hour_ns: int
    symbol: str
    check_name: str
    refusal_count: int
    last_ns: int
    last_number: float | None
    last_limit: float | None
    last_reason: str


@dataclass(frozen=True, slots=True)
class KeptNotice:
    """Something a person should know of; `symbol` None for the account."""

    ns: int
    code: str
    symbol: str | None
    text: str


@dataclass(frozen=True, slots=True)
class AccountSample:
    """The account at one moment. Units: deposit currency; `margin_level` equity / used margin. Missing: None."""

    ns: int
    equity: float | None
    balance: Decimal | None
    used_margin: float | None
    margin_level: float | None


@dataclass(frozen=True, slots=True)
class StateChange:
    """An intent's order has moved to another state; `error_code` None leaves the last one standing."""

    client_order_id: str
    state: str
    ns: int
    error_code: str | None = None


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What is to be kept of one decision when its bytes are gone.

    `found` are orders met at the venue, of a run whose intents may be elsewhere: those not known yet are added.
    """

    ns: int
    found: tuple[Intent, ...] = ()
    states: tuple[StateChange, ...] = ()
    deals: tuple[KeptDeal, ...] = ()
    marks: tuple[KeptMark, ...] = ()
    refusals: tuple[KeptRefusals, ...] = ()
    notices: tuple[KeptNotice, ...] = ()
    sample: AccountSample | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        rest = (self.found, self.states, self.deals, self.marks, self.refusals, self.notices)
        return not any(rest) and self.sample is None


class Table:
    """A table of the ledger and the kind of its rows: their columns are its fields, in order."""

    def __init__(self, name: str, kind: type) -> None:
        self.name = name
        self.kind = kind
        self._fields = tuple(each.name for each in fields(kind))
        self._read = attrgetter(*self._fields)
        self._money = tuple(i for i, each in enumerate(self._fields) if each in _MONEY)
        self._flags = tuple(i for i, each in enumerate(self._fields) if each == "is_own")
        self.columns = ", ".join(self._fields)
        # What is there already stays as it is.
        self.insert = (
            f"INSERT INTO {name} ({self.columns}) VALUES ({', '.join('?' * len(self._fields))}) ON CONFLICT DO NOTHING"
        )

    def row_of(self, kept: Any) -> list[Any]:
        """Return what the file holds of it: money as text."""
        row = list(self._read(kept))
        for i in self._money:
            row[i] = None if row[i] is None else str(row[i])
        return row

    def kept_in(self, row: Sequence[Any]) -> Any:
        """Return what a row of the file holds, its columns in the order of `columns`."""
        content = list(row)
        for i in self._money:
            content[i] = None if content[i] is None else Decimal(content[i])
        for i in self._flags:
            content[i] = bool(content[i])
        return self.kind(*content)


class IntentTable(Table):
    """The table of intents, whose `detail` is JSON."""

    def row_of(self, kept: Intent) -> list[Any]:
        """Return what the file holds of an intent. Raises: TypeError or ValueError for a detail that is no JSON."""
        row = super().row_of(kept)
        row[-1] = as_json(dict(kept.detail))
        row[-3] = kept.created_ns if kept.updated_ns is None else kept.updated_ns
        return row

    def kept_in(self, row: Sequence[Any]) -> Any:
        """Return the intent that a row holds."""
        return super().kept_in([*row[:-1], json.loads(row[-1])])


INTENTS = IntentTable("intents", Intent)
DEALS = Table("deals", KeptDeal)
MARKS = Table("marks", KeptMark)
REFUSALS = Table("refusals", KeptRefusals)
NOTICES = Table("notices", KeptNotice)
SAMPLES = Table("account_samples", AccountSample)
