"""What an examination is told before it starts, and what it has learned so far."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bot.account.conversion import Conversions
from bot.ctrader.catalogue import Catalogue
from bot.ctrader.enquiry import Heard
from bot.ctrader.granted_accounts import GrantedAccount
from bot.ctrader.schema import message
from bot.doctor.findings import Findings
from bot.doctor.kept_token import KeepsToken
from bot.market.symbols import SymbolSpec


@dataclass(frozen=True, slots=True)
class ExaminationPlan:
    """What is examined. `repr` shows no secret.

    Args: `trade` tells whether the config wants to send orders; `orders_tag` marks the orders of this examination and
        is None when it may send none; `listen_s` bounds the listening; `provoke` allows what the venue may take amiss,
        and `keeper` then keeps the token, None where it is not kept in a file.
    """

    access_token: str = field(repr=False)
    account_id: int | None
    environment: str
    trade: bool
    symbols: tuple[str, ...]
    tolerance_frac: float
    listen_s: float
    start_ns: int
    orders_tag: str | None = None
    provoke: bool = False
    keeper: KeepsToken | None = field(default=None, repr=False)


@dataclass(slots=True)
class Stream:
    """What came for one symbol: (receive time, event) in order. Prices are the last known, 1/100000."""

    spots: list[tuple[int, Any]] = field(default_factory=list)
    depth: list[tuple[int, Any]] = field(default_factory=list)
    bid_e5: int | None = None
    ask_e5: int | None = None

    @property
    def mid(self) -> float:
        """The middle of the last prices; NaN before both are known."""
        return float("nan") if self.bid_e5 is None or self.ask_e5 is None else (self.bid_e5 + self.ask_e5) / 200_000


class Facts:
    """Everything learned, shared by the parts of an examination.

    `catalogue` holds the lists; `specs` the traded symbols that can be examined, `streams` what was heard by symbol id;
    `access_token` is the one that counts now.
    """

    def __init__(self, plan: ExaminationPlan, findings: Findings, on_progress: Callable[[str], None]) -> None:
        self.plan = plan
        self.access_token = plan.access_token
        self.findings = findings
        self.on_progress = on_progress
        self.now_ns = plan.start_ns
        self.account: GrantedAccount | None = None
        self.all_accounts: tuple[GrantedAccount, ...] = ()
        self.scope: str | None = None  # trade | view
        self.trader: Any = None
        self.catalogue = Catalogue(())
        self.names: list[str] = []
        self.specs: list[SymbolSpec] = []
        self.open_now: dict[int, bool | None] = {}
        self.tiers: dict[int, Any] = {}
        self.positions: list[Any] = []
        self.streams: dict[int, Stream] = {}
        self.heartbeats: list[int] = []
        self.listened_s = 0.0

    def ask(self, name: str, **fields: Any) -> Any:
        """Return a request of the account."""
        assert self.account is not None, "the account is chosen first"
        return message(f"ProtoOA{name}Req")(ctidTraderAccountId=self.account.account_id, **fields)

    @property
    def account_leverage(self) -> float | None:
        """The account's leverage as a plain ratio; None where the broker states none. Source: leverageInCents."""
        return self.trader.leverageInCents / 100 or None

    def hear(self, heard: list[Heard]) -> None:
        """Take in what a `Listen` gave: prices, streams, heartbeats, the time."""
        for one in heard:
            self.now_ns = max(self.now_ns, one.recv_ns)
            event, name = one.message, one.message.DESCRIPTOR.name
            if name == "ProtoHeartbeatEvent":
                self.heartbeats.append(one.recv_ns)
            elif name == "ProtoOASpotEvent":
                stream = self.streams.setdefault(event.symbolId, Stream())
                stream.spots.append((one.recv_ns, event))
                stream.bid_e5 = event.bid if event.HasField("bid") else stream.bid_e5
                stream.ask_e5 = event.ask if event.HasField("ask") else stream.ask_e5
            elif name == "ProtoOADepthEvent":
                self.streams.setdefault(event.symbolId, Stream()).depth.append((one.recv_ns, event))

    def stream(self, symbol_id: int) -> Stream:
        """Return what was heard of a symbol."""
        return self.streams.get(symbol_id, Stream())

    def rates(self, asset: str) -> tuple[float, float]:
        """Return what one unit of an asset is worth in the deposit currency and in USD; NaN without a price for it."""
        loaded = self.catalogue.loaded(self.now_ns)
        mids = np.array([self.stream(spec.symbol_id).mid for spec in loaded.symbols])
        return (
            Conversions(loaded.conversions).rate(asset, mids),
            Conversions(loaded.usd_conversions).rate(asset, mids),
        )
