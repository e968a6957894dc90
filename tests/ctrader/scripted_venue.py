"""A venue's side of the wire in a few lines: it answers what it is asked from a table of builders, and nothing else."""

from collections.abc import Callable
from typing import Any

from bot.ctrader.framing import FrameReader
from bot.ctrader.plan import SessionPlan
from bot.ctrader.schema import envelope, message, message_for
from bot.ctrader.session import Session
from bot.engine.events import Event

ACCOUNT = 1_000_001
SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
ASSETS = {1: "EUR", 2: "USD", 3: "JPY", 4: "GBP"}
# id: (name, base asset, quote asset, digits, leverage id)
SYMBOLS = {
    11: ("EURUSD", 1, 2, 5, 7),
    12: ("USDJPY", 2, 3, 3, 7),
    13: ("EURJPY", 1, 3, 3, 8),
    14: ("GBPUSD", 4, 2, 5, 7),
    15: ("XAUUSD", 2, 2, 2, 7),
}
DISABLED = 15

Reply = Callable[[Any], list[Any]]


def build(name: str, /, **fields: Any) -> Any:
    """Build a message by its short name."""
    kind = message(name if name.startswith("Proto") else f"ProtoOA{name}")
    if "ctidTraderAccountId" in kind.DESCRIPTOR.fields_by_name and kind.DESCRIPTOR.name.startswith("ProtoOA"):
        fields.setdefault("ctidTraderAccountId", ACCOUNT)
    return kind(**fields)


def plan(**changes: Any) -> SessionPlan:
    """Build the plan of an ordinary session; `changes` by field name."""
    fields: dict[str, Any] = {
        "client_id": "client",
        "client_secret": "the-client-secret",
        "access_token": "the-access-token",
        "refresh_token": None,
        "account_id": ACCOUNT,
        "environment": "demo",
        "trade": True,
        "symbols": ("USDJPY", "EURUSD"),
        "run_id": "r1",
    }
    return SessionPlan(**(fields | changes))


def light(symbol_id: int) -> Any:
    name, base, quote, _, _ = SYMBOLS[symbol_id]
    enabled = symbol_id != DISABLED
    return build(
        "LightSymbol", symbolId=symbol_id, symbolName=name, enabled=enabled, baseAssetId=base, quoteAssetId=quote
    )


def detail(symbol_id: int, **changes: Any) -> Any:
    digits, leverage_id = SYMBOLS[symbol_id][3:]
    fields: dict[str, Any] = {
        "symbolId": symbol_id,
        "digits": digits,
        "pipPosition": digits - 1,
        "lotSize": 10_000_000,
        "minVolume": 100_000,
        "stepVolume": 100_000,
        "maxVolume": 1_000_000_000,
        "leverageId": leverage_id,
    }
    return build("Symbol", **(fields | changes))


def trader(**changes: Any) -> Any:
    fields: dict[str, Any] = {
        "balance": 1_000_000,
        "balanceVersion": 3,
        "depositAssetId": 1,
        "leverageInCents": 50_000,
        "moneyDigits": 2,
        "accountType": 0,
        "totalMarginCalculationType": 0,
        "accessRights": 0,
    }
    return build("Trader", **(fields | changes))


def account_list(*ids: int, live: bool = False, scope: int = 1) -> Any:
    accounts = [build("CtidTraderAccount", ctidTraderAccountId=i, isLive=live) for i in ids or (ACCOUNT,)]
    return build(
        "GetAccountListByAccessTokenRes",
        accessToken="the-access-token",
        permissionScope=scope,
        ctidTraderAccount=accounts,
    )


def chain(first: int, last: int) -> list[int]:
    """Return the symbols that convert one asset to another: direct, or over USD."""
    for symbol_id, (_, base, quote, _, _) in SYMBOLS.items():
        if {base, quote} == {first, last}:
            return [symbol_id]
    return chain(first, 2) + chain(2, last)


def tiers(leverage_id: int) -> Any:
    steps = [build("DynamicLeverageTier", volume=100_000_000, leverage=500)]
    return build("DynamicLeverage", leverageId=leverage_id, tiers=steps)


class ScriptedVenue:
    """Answers a session's frames. `replies` maps a request's name to a function of the request; change it at will.

    `asked` lists (request name, message id) in the order received; heartbeats are counted apart.
    """

    def __init__(self, session: Session, now_ns: int = START) -> None:
        self.session = session
        self.now_ns = now_ns
        self.asked: list[tuple[str, str]] = []
        self.requests: list[Any] = []
        self.heartbeats = 0
        self.events: list[Event] = []
        self.reader = FrameReader()
        self.replies: dict[str, Reply] = {
            "ProtoOAApplicationAuthReq": lambda r: [build("ApplicationAuthRes")],
            "ProtoOAVersionReq": lambda r: [build("VersionRes", version="87")],
            "ProtoOAGetAccountListByAccessTokenReq": lambda r: [account_list()],
            "ProtoOAAccountAuthReq": lambda r: [build("AccountAuthRes")],
            "ProtoOATraderReq": lambda r: [build("TraderRes", trader=trader())],
            "ProtoOAAssetListReq": lambda r: [
                build("AssetListRes", asset=[build("Asset", assetId=i, name=n) for i, n in ASSETS.items()])
            ],
            "ProtoOASymbolsListReq": lambda r: [build("SymbolsListRes", symbol=map(light, SYMBOLS))],
            "ProtoOASymbolByIdReq": lambda r: [build("SymbolByIdRes", symbol=map(detail, r.symbolId))],
            "ProtoOASymbolsForConversionReq": lambda r: [
                build("SymbolsForConversionRes", symbol=map(light, chain(r.firstAssetId, r.lastAssetId)))
            ],
            "ProtoOAGetDynamicLeverageByIDReq": lambda r: [
                build("GetDynamicLeverageByIDRes", leverage=tiers(r.leverageId))
            ],
            "ProtoOAReconcileReq": lambda r: [build("ReconcileRes")],
            "ProtoOASubscribeSpotsReq": lambda r: [build("SubscribeSpotsRes")],
            "ProtoOASubscribeDepthQuotesReq": lambda r: [build("SubscribeDepthQuotesRes")],
            "ProtoOAUnsubscribeDepthQuotesReq": lambda r: [build("UnsubscribeDepthQuotesRes")],
            "ProtoOAOrderListReq": lambda r: [build("OrderListRes", hasMore=False)],
            "ProtoOADealListReq": lambda r: [build("DealListRes", hasMore=False)],
            "ProtoOARefreshTokenReq": lambda r: [
                build("RefreshTokenRes", accessToken="t-2", tokenType="bearer", expiresIn=2_628_000, refreshToken="r-2")
            ],
            "ProtoOANewOrderReq": lambda r: [],
            "ProtoOAClosePositionReq": lambda r: [],
            "ProtoOACancelOrderReq": lambda r: [],
            "ProtoOAAmendOrderReq": lambda r: [],
        }

    def connect(self) -> "ScriptedVenue":
        """Make a connection and let the two talk until neither has anything to say."""
        self.session.connection_made(self.now_ns)
        return self.talk()

    def talk(self) -> "ScriptedVenue":
        """Answer until the session is quiet; requests kept back by the rate limits get the time they need."""
        while True:
            frames = self.take()
            if frames:
                for name, message_id, request in frames:
                    for reply in self.replies[name](request):
                        self.tell(reply, message_id)
                continue
            due_ns = self.session._outbox._queue.next_ns()
            self.events += self.session.events()
            if due_ns is None or self.session.next_timeout_ns() is None:
                return self
            self.now_ns = max(self.now_ns + 1, due_ns)

    def take(self) -> list[tuple[str, str, Any]]:
        """Return the requests the session sends now: (name, message id, request)."""
        out = []
        for data in self.session.data_to_send(self.now_ns):
            for body in self.reader.receive(data):
                wrapper = message("ProtoMessage").FromString(body)
                request = message_for(wrapper.payloadType).FromString(wrapper.payload)
                if request.DESCRIPTOR.name == "ProtoHeartbeatEvent":
                    self.heartbeats += 1
                    continue
                self.asked.append((request.DESCRIPTOR.name, wrapper.clientMsgId))
                self.requests.append(request)
                out.append((request.DESCRIPTOR.name, wrapper.clientMsgId, request))
        return out

    def tell(self, content: Any, message_id: str | None = None) -> None:
        """Send one message to the session."""
        self.session.receive_frames([envelope(content, message_id or None)], self.now_ns)

    def told(self) -> list[Event]:
        """Return the events since the last call."""
        self.events += self.session.events()
        events, self.events = self.events, []
        return events

    def wait(self, seconds: float) -> "ScriptedVenue":
        """Let time pass the way a driver does, waking the session when it asks."""
        end_ns = self.now_ns + round(seconds * SECOND)
        while (due_ns := self.session.next_timeout_ns()) is not None and due_ns <= end_ns:
            self.now_ns = max(self.now_ns, due_ns)
            self.session.handle_timeout(self.now_ns)
            self.talk()
        self.now_ns = end_ns
        return self

    @property
    def names(self) -> list[str]:
        """Names of what was asked, in order, without `ProtoOA` and `Req`."""
        return [name.removeprefix("ProtoOA").removesuffix("Req") for name, _ in self.asked]


def ready_venue(**changes: Any) -> ScriptedVenue:
    """Return a venue whose session has come to READY, its events taken."""
    venue = ScriptedVenue(Session(plan(**changes))).connect()
    assert venue.session.ready, (venue.session.fatal, venue.session.wants_disconnect, venue.asked)
    venue.told()
    return venue


def error(code: str, description: str = "", **fields: Any) -> Any:
    return build("ErrorRes", errorCode=code, description=description, **fields)
