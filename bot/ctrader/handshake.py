"""What each phase of the handshake asks, and what its answers mean.

The session owns the order (`phases`), the ids and the clock; this file owns the content.
"""

from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message

from bot.ctrader import translate
from bot.ctrader.catalogue import Catalogue
from bot.ctrader.phases import TRANSITIONS, Phase
from bot.ctrader.plan import HandshakeRefused, SessionPlan
from bot.ctrader.schema import enum, message
from bot.engine.events import AccountLoaded, Event, LeverageTiersLoaded, Reconciled

Question = tuple[Message, object]

# Without an answer to these the session can still do its work; what is missing shows as a missing conversion or tier,
# on which the engine's checks fail closed.
DISPENSABLE = ("ProtoOAVersionReq", "ProtoOASymbolsForConversionReq", "ProtoOAGetDynamicLeverageByIDReq")

# Requests whose repetition the venue may answer with "already done", and rightly.
REPEATABLE = (
    "ProtoOAApplicationAuthReq",
    "ProtoOAAccountAuthReq",
    "ProtoOASubscribeSpotsReq",
    "ProtoOASubscribeDepthQuotesReq",
)


class Handshake:
    """The knowledge that grows from phase to phase of one connection."""

    def __init__(self, plan: SessionPlan) -> None:
        self._plan = plan
        self.access_token = plan.access_token
        self._is_live: bool | None = None
        self._trader: Any = None
        self._accounts: Any = ()
        self._scope: int | None = None
        self.account_id: int | None = plan.account_id
        self.venue_version: str | None = None
        self.catalogue = Catalogue(plan.symbols)
        self._has_new_symbols = False
        self._spots_asked: tuple[int, ...] = ()
        self._questions: dict[Phase, Callable[[], list[Question]]] = {
            Phase.APPLICATION_AUTH: self._ask_application,
            Phase.ACCOUNT_LIST: self._ask_accounts,
            Phase.ACCOUNT_AUTH: self._ask_account,
            Phase.CATALOGUE: self._ask_catalogue,
            Phase.DETAILS: self._ask_details,
            Phase.CHAIN_DETAILS: self._ask_chain_details,
            Phase.TIERS: self._ask_tiers,
            Phase.RECONCILE: self._ask_reconcile,
            Phase.SPOTS: self._ask_spots,
            Phase.DEPTH: self._ask_depth,
        }

    @property
    def account(self) -> int:
        """The account that was chosen; for use after the account list only."""
        assert self.account_id is not None, "the account is chosen before anything of it is asked"
        return self.account_id

    def questions(self, phase: Phase) -> list[Question]:
        """Return the requests of a phase, each with the key its answer needs."""
        return self._questions[phase]()

    def accept(self, reply: Any, key: object, recv_ns: int) -> list[Event]:
        """Take the answer to a question; return what there is to tell."""
        match reply.DESCRIPTOR.name:
            case "ProtoOAVersionRes":
                self.venue_version = translate.text(reply.version)
            case "ProtoOAGetAccountListByAccessTokenRes":
                self._accounts = reply.ctidTraderAccount
                self._scope = reply.permissionScope if reply.HasField("permissionScope") else None
            case "ProtoOATraderRes":
                self._trader = reply.trader
            case "ProtoOAAssetListRes":
                self.catalogue.add_assets(reply.asset)
            case "ProtoOASymbolsListRes":
                self.catalogue.add_symbols(reply.symbol)
            case "ProtoOASymbolByIdRes":
                self.catalogue.add_details(reply.symbol)
            case "ProtoOASymbolsForConversionRes" if isinstance(key, tuple):
                self.catalogue.add_symbols(reply.symbol)
                self.catalogue.chains[key] = tuple(light.symbolId for light in reply.symbol)
            case "ProtoOAGetDynamicLeverageByIDRes":
                leverage = reply.leverage
                tiers = translate.leverage_tiers(leverage)
                return [LeverageTiersLoaded(recv_ns, leverage.leverageId, tiers)]
            case "ProtoOAReconcileRes":
                orders = tuple(map(translate.order, reply.order))
                positions = translate.open_positions(reply.position)
                resting = [order.symbol_id for order in orders if order.label == self._plan.label]
                self._has_new_symbols = self.catalogue.hold([*(p.symbol_id for p in positions), *resting])
                return [Reconciled(recv_ns, positions, orders)]
        return []

    def refresh(self, reply: Any, recv_ns: int) -> tuple[list[Event], list[Question]]:
        """Take what was asked after a symbol changed; return what there is to tell, and to ask about new tiers.

        Details that have lost their volume limits are ignored: the old ones stay, and the trading mode tells the rest.
        """
        if reply.DESCRIPTOR.name != "ProtoOASymbolByIdRes":
            return self.accept(reply, None, recv_ns), []
        known = self.catalogue.leverage_ids
        self.catalogue.add_details(symbol for symbol in reply.symbol if not translate.untradable_fields(symbol))
        new = [leverage_id for leverage_id in self.catalogue.leverage_ids if leverage_id not in known]
        return [self.catalogue.loaded(recv_ns)], [self.ask_tiers(leverage_id) for leverage_id in new]

    def complete(self, phase: Phase, recv_ns: int) -> list[Event]:
        """Judge a phase whose answers have all come; return what there is to tell.

        Raises: HandshakeRefused when this plan cannot run with these answers.
        """
        if phase is Phase.ACCOUNT_LIST:
            self._choose_account()
        elif phase is Phase.CATALOGUE:
            self.catalogue.deposit_asset_id = self._trader.depositAssetId
            event = self.trader_changed(self._trader, recv_ns)
            self.catalogue.resolve_traded()
            return [event]
        elif phase is Phase.DETAILS:
            self.catalogue.check_details()
        elif phase is Phase.CHAIN_DETAILS:
            return [self.catalogue.loaded(recv_ns)]
        return []

    def needs_symbol(self, event: Any) -> bool:
        """Return whether an execution left a position in a symbol that is not loaded: from now on it is wanted.

        Without its price the account's equity would be unknown.
        """
        held = translate.open_positions([event.position] if event.HasField("position") else [])
        return self.catalogue.hold(p.symbol_id for p in held)

    def next_phase(self, phase: Phase) -> Phase:
        """Return what follows a phase: the table's word, but back to the details when positions need more symbols."""
        if phase is Phase.RECONCILE and self._has_new_symbols:
            self._has_new_symbols = False
            return Phase.DETAILS
        return TRANSITIONS[phase].next

    def trader_changed(self, trader: Any, recv_ns: int) -> AccountLoaded:
        """Return the account's new state.

        Raises: HandshakeRefused (3) when the account may not log in.
        """
        if trader.accessRights == enum("ProtoOAAccessRights")["NO_LOGIN"]:
            text = f"account.id: the broker does not let account {self.account_id} log in (NO_LOGIN); ask the broker"
            raise HandshakeRefused(3, text)
        return AccountLoaded(recv_ns, translate.account_state(trader, self.catalogue.asset_names, self._is_live))

    def _choose_account(self) -> None:
        plan = self._plan
        trade_scope = enum("ProtoOAClientPermissionScope")["SCOPE_TRADE"]
        if plan.trade and self._scope is not None and self._scope != trade_scope:
            text = "the token has view scope, which cannot trade; log in again with the trading scope, or use dry-run"
            raise HandshakeRefused(3, text)
        by_id = {int(a.ctidTraderAccountId): a for a in self._accounts}
        account_id = plan.account_id if plan.account_id is not None else next(iter(by_id), None)
        if account_id is None:
            raise HandshakeRefused(3, "the token grants no trading account; log in again and tick the account")
        if account_id not in by_id:
            granted = ", ".join(f"{i} ({_kind(a)})" for i, a in by_id.items()) or "none"
            text = f"account.id: account {account_id} is not in the token's grant; accounts granted: {granted}"
            raise HandshakeRefused(3, text)
        account = by_id[account_id]
        self._is_live = account.isLive if account.HasField("isLive") else None
        wanted_live = plan.environment == "live"
        if plan.environment != "simulator" and self._is_live is not None and self._is_live != wanted_live:
            text = f"account.id: account {account_id} is {_kind(account)}, but venue.environment is {plan.environment}"
            raise HandshakeRefused(3, text)
        self.account_id = account_id

    def _of_account(self, name: str, **fields: Any) -> Message:
        return message(name)(ctidTraderAccountId=self.account_id, **fields)  # type: ignore[no-any-return]

    def _ask_application(self) -> list[Question]:
        plan = self._plan
        fields = {"clientId": plan.client_id, "clientSecret": plan.client_secret}
        return [(message("ProtoOAApplicationAuthReq")(**fields), None)]

    def _ask_accounts(self) -> list[Question]:
        accounts = message("ProtoOAGetAccountListByAccessTokenReq")(accessToken=self.access_token)
        return [(message("ProtoOAVersionReq")(), None), (accounts, None)]

    def _ask_account(self) -> list[Question]:
        return [(self.account_auth(), None)]

    def account_auth(self) -> Message:
        """Return the request that opens, or confirms, the account's session with the token in use."""
        return self._of_account("ProtoOAAccountAuthReq", accessToken=self.access_token)

    @staticmethod
    def token_renewal(refresh_token: str) -> Message:
        """Return the request for a new pair of tokens; it uses the old one up."""
        return message("ProtoOARefreshTokenReq")(refreshToken=refresh_token)  # type: ignore[no-any-return]

    def _ask_catalogue(self) -> list[Question]:
        self.catalogue = Catalogue(self._plan.symbols)
        self._spots_asked = ()
        names = ("ProtoOATraderReq", "ProtoOAAssetListReq", "ProtoOASymbolsListReq")
        return [(self._of_account(name), None) for name in names]

    def _ask_details(self) -> list[Question]:
        chains: list[Question] = [
            (self._of_account("ProtoOASymbolsForConversionReq", firstAssetId=pair[0], lastAssetId=pair[1]), pair)
            for pair in self.catalogue.wanted_chains()
        ]
        return [self.ask_symbols(self.catalogue.exposed_ids), *chains]

    def ask_symbols(self, symbol_ids: Any) -> Question:
        """Return the request for the details of symbols."""
        return self._of_account("ProtoOASymbolByIdReq", symbolId=symbol_ids), tuple(symbol_ids)

    def _ask_chain_details(self) -> list[Question]:
        wanted = self.catalogue.chain_ids_without_details()
        return [self.ask_symbols(wanted)] if wanted else []

    def _ask_tiers(self) -> list[Question]:
        return [self.ask_tiers(leverage_id) for leverage_id in self.catalogue.leverage_ids]

    def ask_tiers(self, leverage_id: int) -> Question:
        """Return the request for one table of leverage tiers."""
        return self._of_account("ProtoOAGetDynamicLeverageByIDReq", leverageId=leverage_id), leverage_id

    def _ask_reconcile(self) -> list[Question]:
        return [(self._of_account("ProtoOAReconcileReq"), None)]

    def _ask_spots(self) -> list[Question]:
        # A venue that has some of the symbols already may refuse the whole request: what is new is asked for by itself.
        wanted, asked = self.catalogue.subscribed_ids, self._spots_asked
        both = [s for s in wanted if s in asked], [s for s in wanted if s not in asked]
        self._spots_asked = (*asked, *both[1])
        return [(self._of_account("ProtoOASubscribeSpotsReq", symbolId=ids), None) for ids in both if ids]

    def _ask_depth(self) -> list[Question]:
        return [(self._of_account("ProtoOASubscribeDepthQuotesReq", symbolId=self.catalogue.traded_ids), None)]


def _kind(account: Any) -> str:
    if not account.HasField("isLive"):
        return "kind unknown"
    return "live" if account.isLive else "demo"
