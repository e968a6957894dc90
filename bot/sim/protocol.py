"""One client's link to the venue: bytes in, bytes out, and what the client may do on it.

How it works: `receive` reads frames and answers each request into a buffer that `data_to_send` empties. A link is born
unauthenticated; application auth must come first, then account auth for each account. Requests are dispatched by
payload type: session requests here, trading to the account's `Desk`, the rest to `answers`.
A peer that does not speak the protocol (no frame, no envelope) is closed; a request that makes no sense is answered.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError

from bot.ctrader.framing import FrameReader, FrameTooLong, frame
from bot.ctrader.schema import enum, envelope, message, message_for, payload_type
from bot.sim.answers import Asked, answers
from bot.sim.credentials import TOKEN_LIFE_S, Grant
from bot.sim.desk import Desk
from bot.sim.entities import OrderRefused, Refused
from bot.sim.execution import Emit
from bot.sim.subscriptions import Subscriptions

if TYPE_CHECKING:
    from bot.sim.venue import Venue

VERSION = "0.9"
HEARTBEAT_NS = 25_000_000_000
MAX_REQUEST_BYTES = 1_000_000
"""Far above any request of the protocol; a longer frame is not one."""


class Link:
    """The venue's end of one connection. Made by `Venue.connect`."""

    def __init__(self, venue: "Venue", now_ns: int) -> None:
        self._venue = venue
        self._reader = FrameReader(MAX_REQUEST_BYTES)
        self._buffer = bytearray()
        self._is_client = False
        self._accounts: dict[int, tuple[str, Grant]] = {}
        self._last_sent_ns = self._now_ns = now_ns
        self.subscriptions = Subscriptions()
        self.is_closed = False
        self.close_reason: str | None = None
        self._session: dict[int, Callable[[Any, str | None], None]] = {
            payload_type(name): handler
            for name, handler in (
                ("ProtoOAVersionReq", self._version),
                ("ProtoOAGetAccountListByAccessTokenReq", self._account_list),
                ("ProtoOAGetCtidProfileByTokenReq", self._profile),
                ("ProtoOARefreshTokenReq", self._refresh),
                ("ProtoOAAccountAuthReq", self._account_auth),
                ("ProtoOAAccountLogoutReq", self._logout),
                ("ProtoOASubscribeSpotsReq", self._subscribe_spots),
                ("ProtoOAUnsubscribeSpotsReq", self._unsubscribe_spots),
                ("ProtoOASubscribeDepthQuotesReq", self._subscribe_depth),
                ("ProtoOAUnsubscribeDepthQuotesReq", self._unsubscribe_depth),
                ("ProtoOASubscribeLiveTrendbarReq", self._subscribe_bars),
                ("ProtoOAUnsubscribeLiveTrendbarReq", self._unsubscribe_bars),
                ("ProtoOAMarginCallUpdateReq", self._margin_call_update),
            )
        }
        self._trading: dict[int, Callable[[Desk, Any, int, Emit], None]] = {
            payload_type("ProtoOANewOrderReq"): Desk.place,
            payload_type("ProtoOAClosePositionReq"): Desk.close,
            payload_type("ProtoOACancelOrderReq"): Desk.cancel,
            payload_type("ProtoOAAmendOrderReq"): Desk.amend_order,
            payload_type("ProtoOAAmendPositionSLTPReq"): Desk.amend_position,
        }
        self._answers = answers()

    # -- bytes ------------------------------------------------------------------------------------------------------

    def receive(self, data: bytes, now_ns: int) -> None:
        """Take in bytes from the client; answers are in `data_to_send` afterwards."""
        self._now_ns = now_ns
        if self.is_closed:
            return
        try:
            frames = self._reader.receive(data)
        except FrameTooLong as error:
            self._fail(str(error))
            return
        for body in frames:
            if self.is_closed:
                return
            self._receive_frame(body)

    def data_to_send(self) -> bytes:
        """Return and forget what waits to be sent."""
        data = bytes(self._buffer)
        self._buffer.clear()
        return data

    @property
    def pending_bytes(self) -> int:
        """How much waits to be sent."""
        return len(self._buffer)

    def close(self) -> None:
        """Forget the client: its subscriptions end, nothing more is sent."""
        self.is_closed = True
        self._accounts.clear()
        self._venue.forget(self)

    def send(self, body: Any, client_msg_id: str | None = None) -> None:
        """Queue a message."""
        self.send_frame(frame(envelope(body, client_msg_id)))

    def send_frame(self, data: bytes) -> None:
        """Queue a whole frame."""
        if not self.is_closed:
            self._buffer += data
            self._last_sent_ns = self._venue.now_ns

    def heartbeat(self, now_ns: int) -> None:
        """Send a heartbeat if nothing was sent for 25 s."""
        if now_ns >= self.next_heartbeat_ns:
            self.send(message("ProtoHeartbeatEvent")())

    @property
    def next_heartbeat_ns(self) -> int:
        """When the next heartbeat is due if nothing else is sent."""
        return self._last_sent_ns + HEARTBEAT_NS

    def has_account(self, account_id: int) -> bool:
        """Tell whether this link is authorised for an account."""
        return account_id in self._accounts

    def end_sessions(self, access_token: str, reason: str) -> None:
        """End the account sessions that were opened with a token which is no longer valid."""
        ended = [account_id for account_id, (token, _) in self._accounts.items() if token == access_token]
        for account_id in ended:
            self._drop_account(account_id)
        if ended:
            self.send(message("ProtoOAAccountsTokenInvalidatedEvent")(ctidTraderAccountIds=ended, reason=reason))

    # -- dispatch ---------------------------------------------------------------------------------------------------

    def _fail(self, reason: str) -> None:
        self.close_reason = reason
        self.close()

    def _receive_frame(self, body: bytes) -> None:
        try:
            wrapper = message("ProtoMessage").FromString(body)
        except DecodeError:
            self._fail("the client sent a frame that is not a ProtoMessage")
            return
        msg_id = wrapper.clientMsgId if wrapper.HasField("clientMsgId") else None
        if isinstance(msg_id, bytes):  # protobuf's way to say that it is not UTF-8
            self._fail("the client sent a message id that is not UTF-8")
            return
        if wrapper.payloadType == payload_type("ProtoHeartbeatEvent"):
            return
        try:
            self._dispatch(wrapper.payloadType, wrapper.payload, msg_id)
        except OrderRefused as refused:
            self._order_error(wrapper, refused, msg_id)
        except Refused as refused:
            self._error(refused.code, refused.description, msg_id, self._account_of(wrapper))

    def _dispatch(self, kind: int, payload: bytes, msg_id: str | None) -> None:
        is_auth = kind == payload_type("ProtoOAApplicationAuthReq")
        if not self._is_client and not is_auth:
            raise Refused("CH_CLIENT_NOT_AUTHENTICATED", "application auth must come first")
        known = is_auth or kind in self._session or kind in self._trading or kind in self._answers
        if not known:
            unsupported = message("ProtoErrorRes")(
                errorCode="UNSUPPORTED_MESSAGE", description=f"no request has payload type {kind}"
            )
            self.send(unsupported, msg_id)
            return
        cls: Any = message_for(kind)
        try:
            request = cls.FromString(payload)
        except DecodeError:
            raise Refused("INVALID_REQUEST", f"the payload is not a {cls.DESCRIPTOR.name}") from None
        if not request.IsInitialized():
            missing = ", ".join(request.FindInitializationErrors())
            raise Refused("INVALID_REQUEST", f"{cls.DESCRIPTOR.name} without {missing}")
        for field, content in request.ListFields():
            # protobuf hands out text that is not UTF-8 as bytes; kept, it would break the answers to everybody.
            if field.type == field.TYPE_STRING and isinstance(content, bytes):
                raise Refused("INVALID_REQUEST", f"{field.name} of {cls.DESCRIPTOR.name} is not UTF-8")
        if is_auth:
            self._application_auth(request, msg_id)
        elif kind in self._session:
            self._session[kind](request, msg_id)
        elif kind in self._trading:
            desk, grant = self._desk(request)
            if not grant.can_trade:
                raise Refused("TRADING_NOT_ALLOWED", "the access token has view scope: it cannot trade")
            self._trading[kind](desk, request, self._now_ns, self._reply_then_broadcast(desk, msg_id))
        else:
            desk, _ = self._desk(request)
            self.send(self._answers[kind](Asked(self._venue, desk, request, self._now_ns)), msg_id)

    def _reply_then_broadcast(self, desk: Desk, msg_id: str | None) -> Emit:
        """Return an emit that gives the first event to the asker with its message id; everyone else, and later ones,
        get none."""
        waiting = [msg_id]

        def emit(event: Any) -> None:
            first = waiting.pop() if waiting else None
            self._venue.broadcast(desk.account.settings.account_id, event, self, first)

        return emit

    def _desk(self, request: Any) -> tuple[Desk, Grant]:
        account_id = request.ctidTraderAccountId
        if account_id not in self._venue.desks:
            raise Refused("INVALID_REQUEST", f"trading account {account_id} is not authorized")
        if account_id not in self._accounts:
            raise Refused(
                "ACCOUNT_NOT_AUTHORIZED", f"trading account {account_id} is not authorized on this connection"
            )
        return self._venue.desks[account_id], self._accounts[account_id][1]

    @staticmethod
    def _account_of(wrapper: Any) -> int | None:
        cls: Any = message_for(wrapper.payloadType)
        if cls is None or "ctidTraderAccountId" not in cls.DESCRIPTOR.fields_by_name:
            return None
        try:
            request = cls.FromString(wrapper.payload)
        except DecodeError:
            return None
        return request.ctidTraderAccountId if request.HasField("ctidTraderAccountId") else None

    def _error(self, code: str, description: str, msg_id: str | None, account_id: int | None) -> None:
        error = message("ProtoOAErrorRes")(errorCode=code, description=description)
        if account_id is not None:
            error.ctidTraderAccountId = account_id
        self.send(error, msg_id)

    def _order_error(self, wrapper: Any, refused: OrderRefused, msg_id: str | None) -> None:
        account_id = self._account_of(wrapper)
        if wrapper.payloadType not in self._trading or account_id is None:
            self._error(refused.code, refused.description, msg_id, account_id)
            return
        self.send(
            message("ProtoOAOrderErrorEvent")(
                ctidTraderAccountId=account_id,
                errorCode=refused.code,
                orderId=refused.order_id,
                positionId=refused.position_id,
                description=refused.description,
            ),
            msg_id,
        )

    # -- session ----------------------------------------------------------------------------------------------------

    def _application_auth(self, request: Any, msg_id: str | None) -> None:
        if self._is_client:
            raise Refused("CH_CLIENT_ALREADY_AUTHENTICATED", "this connection is authenticated already")
        if not self._venue.credentials.is_client(request.clientId, request.clientSecret):
            raise Refused("CH_CLIENT_AUTH_FAILURE", "client id or secret is wrong")
        self._is_client = True
        self.send(message("ProtoOAApplicationAuthRes")(), msg_id)

    def _version(self, _request: Any, msg_id: str | None) -> None:
        self.send(message("ProtoOAVersionRes")(version=VERSION), msg_id)

    def _grant(self, access_token: str) -> Grant:
        grant = self._venue.credentials.grant(access_token)
        if grant is None:
            raise Refused("CH_ACCESS_TOKEN_INVALID", "the access token is unknown or no longer valid")
        return grant

    def _account_list(self, request: Any, msg_id: str | None) -> None:
        grant = self._grant(request.accessToken)
        scope = enum("ProtoOAClientPermissionScope")["SCOPE_TRADE" if grant.can_trade else "SCOPE_VIEW"]
        reply = message("ProtoOAGetAccountListByAccessTokenRes")(accessToken=request.accessToken, permissionScope=scope)
        for account_id in grant.account_ids:
            reply.ctidTraderAccount.append(self._venue.account_entry(account_id))
        self.send(reply, msg_id)

    def _profile(self, request: Any, msg_id: str | None) -> None:
        self._grant(request.accessToken)
        reply = message("ProtoOAGetCtidProfileByTokenRes")()
        reply.profile.userId = 1
        self.send(reply, msg_id)

    def _refresh(self, request: Any, msg_id: str | None) -> None:
        renewed = self._venue.credentials.refresh(request.refreshToken)
        if renewed is None:
            raise Refused("CH_ACCESS_TOKEN_INVALID", "the refresh token is unknown or was used already")
        access, refresh, old = renewed
        self.send(
            message("ProtoOARefreshTokenRes")(
                accessToken=access, tokenType="bearer", expiresIn=TOKEN_LIFE_S, refreshToken=refresh
            ),
            msg_id,
        )
        self._venue.end_sessions(old, "the access token was refreshed")

    def _account_auth(self, request: Any, msg_id: str | None) -> None:
        grant = self._grant(request.accessToken)
        account_id = request.ctidTraderAccountId
        if account_id not in grant.account_ids or account_id not in self._venue.desks:
            raise Refused("CH_CTID_TRADER_ACCOUNT_NOT_FOUND", f"trading account {account_id} is not in the grant")
        if account_id in self._accounts:
            raise Refused("ALREADY_LOGGED_IN", f"trading account {account_id} is authorized on this connection already")
        self._accounts[account_id] = (request.accessToken, grant)
        self.send(message("ProtoOAAccountAuthRes")(ctidTraderAccountId=account_id), msg_id)

    def _logout(self, request: Any, msg_id: str | None) -> None:
        self._desk(request)
        self.send(message("ProtoOAAccountLogoutRes")(ctidTraderAccountId=request.ctidTraderAccountId), msg_id)
        self._drop_account(request.ctidTraderAccountId)
        self.send(message("ProtoOAAccountDisconnectEvent")(ctidTraderAccountId=request.ctidTraderAccountId))

    def _drop_account(self, account_id: int) -> None:
        del self._accounts[account_id]
        self.subscriptions.drop_account(account_id)

    def _margin_call_update(self, request: Any, msg_id: str | None) -> None:
        desk, _ = self._desk(request)
        account_id = desk.account.settings.account_id
        event = self._venue.margin_calls[account_id].update(request.marginCall, self._now_ns)
        self.send(message("ProtoOAMarginCallUpdateRes")(), msg_id)
        self._venue.broadcast(account_id, event)

    # -- market data ------------------------------------------------------------------------------------------------

    def _asked_symbols(self, request: Any) -> list[int]:
        self._desk(request)
        if not request.symbolId:
            raise Refused("INVALID_REQUEST", "no symbolId given")
        return [self._venue.spec(symbol_id).symbol_id for symbol_id in dict.fromkeys(request.symbolId)]

    def _subscribe_spots(self, request: Any, msg_id: str | None) -> None:
        symbols, account_id = self._asked_symbols(request), request.ctidTraderAccountId
        self.subscriptions.add_spots(account_id, symbols, with_time=request.subscribeToSpotTimestamp)
        self.send(message("ProtoOASubscribeSpotsRes")(ctidTraderAccountId=account_id), msg_id)
        for symbol_id in symbols:
            self._venue.send_latest_spot(self, account_id, symbol_id)

    def _unsubscribe_spots(self, request: Any, msg_id: str | None) -> None:
        symbols = self._asked_symbols(request)
        self.subscriptions.remove_spots(request.ctidTraderAccountId, symbols)
        self.send(message("ProtoOAUnsubscribeSpotsRes")(ctidTraderAccountId=request.ctidTraderAccountId), msg_id)

    def _subscribe_depth(self, request: Any, msg_id: str | None) -> None:
        symbols, account_id = self._asked_symbols(request), request.ctidTraderAccountId
        self.subscriptions.add_depth(account_id, symbols)
        self.send(message("ProtoOASubscribeDepthQuotesRes")(ctidTraderAccountId=account_id), msg_id)
        for symbol_id in symbols:
            self._venue.send_depth_snapshot(self, account_id, symbol_id)

    def _unsubscribe_depth(self, request: Any, msg_id: str | None) -> None:
        symbols = self._asked_symbols(request)
        self.subscriptions.remove_depth(request.ctidTraderAccountId, symbols)
        self.send(message("ProtoOAUnsubscribeDepthQuotesRes")(ctidTraderAccountId=request.ctidTraderAccountId), msg_id)

    def _subscribe_bars(self, request: Any, msg_id: str | None) -> None:
        self._desk(request)
        symbol_id = self._venue.spec(request.symbolId).symbol_id
        self.subscriptions.add_bars(request.ctidTraderAccountId, symbol_id, request.period)
        self.send(message("ProtoOASubscribeLiveTrendbarRes")(ctidTraderAccountId=request.ctidTraderAccountId), msg_id)

    def _unsubscribe_bars(self, request: Any, msg_id: str | None) -> None:
        self._desk(request)
        self.subscriptions.remove_bars(request.ctidTraderAccountId, request.symbolId, request.period)
        self.send(message("ProtoOAUnsubscribeLiveTrendbarRes")(ctidTraderAccountId=request.ctidTraderAccountId), msg_id)
