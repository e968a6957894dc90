"""What a client may do on its link: who it is, the accounts it is logged in to, and what it subscribed.

How it works: `SessionRequests` holds one link's client and account authorisations; `handlers` has one method for each
request type about the session or about market data. Each answers through its link, or raises `Refused`.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bot.ctrader.schema import enum, message, payload_type
from bot.sim.credentials import Grant
from bot.sim.desk import Desk
from bot.sim.entities import Refused
from bot.sim.subscriptions import Subscriptions

if TYPE_CHECKING:
    from bot.sim.protocol import Link
    from bot.sim.venue import Venue

VERSION = "0.9"


class SessionRequests:
    """One link's authorisations and subscriptions, and the requests that change them."""

    def __init__(self, venue: "Venue", link: "Link") -> None:
        self._venue, self._link = venue, link
        self.is_client = False
        self.accounts: dict[int, tuple[str, Grant]] = {}
        self.subscriptions = Subscriptions()
        self.handlers: dict[int, Callable[[Any, str | None], None]] = {
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

    # -- accounts ---------------------------------------------------------------------------------------------------

    def desk(self, request: Any) -> tuple[Desk, Grant]:
        """Return the desk and the grant of the account that a request is about.

        Raises: Refused (INVALID_REQUEST, ACCOUNT_NOT_AUTHORIZED).
        """
        account_id = request.ctidTraderAccountId
        if account_id not in self._venue.desks:
            raise Refused("INVALID_REQUEST", f"trading account {account_id} is not authorized")
        self._venue.check_route(account_id)
        if account_id not in self.accounts:
            raise Refused(
                "ACCOUNT_NOT_AUTHORIZED", f"trading account {account_id} is not authorized on this connection"
            )
        return self._venue.desks[account_id], self.accounts[account_id][1]

    def end_sessions(self, access_token: str, reason: str) -> None:
        """End the account sessions that were opened with a token which is no longer valid."""
        ended = [account_id for account_id, (token, _) in self.accounts.items() if token == access_token]
        for account_id in ended:
            self.drop_account(account_id)
        if ended:
            self._link.send(message("ProtoOAAccountsTokenInvalidatedEvent")(ctidTraderAccountIds=ended, reason=reason))

    # -- session ----------------------------------------------------------------------------------------------------

    def application_auth(self, request: Any, msg_id: str | None) -> None:
        """Take a ProtoOAApplicationAuthReq.

        Raises: Refused.
        """
        if self.is_client:
            raise Refused("CH_CLIENT_ALREADY_AUTHENTICATED", "this connection is authenticated already")
        if not self._venue.credentials.is_client(request.clientId, request.clientSecret):
            raise Refused("CH_CLIENT_AUTH_FAILURE", "client id or secret is wrong")
        self.is_client = True
        self._link.send(message("ProtoOAApplicationAuthRes")(), msg_id)

    def _version(self, _request: Any, msg_id: str | None) -> None:
        self._link.send(message("ProtoOAVersionRes")(version=VERSION), msg_id)

    def _grant(self, access_token: str) -> Grant:
        grant = self._venue.credentials.grant(access_token)
        if grant is None:
            raise Refused("CH_ACCESS_TOKEN_INVALID", "the access token is unknown or no longer valid")
        if grant.is_expired(self._link.now_ns):
            raise Refused(self._venue.credentials.expired_code, "the access token has expired")
        return grant

    def _account_list(self, request: Any, msg_id: str | None) -> None:
        grant = self._grant(request.accessToken)
        scope = enum("ProtoOAClientPermissionScope")["SCOPE_TRADE" if grant.can_trade else "SCOPE_VIEW"]
        reply = message("ProtoOAGetAccountListByAccessTokenRes")(accessToken=request.accessToken, permissionScope=scope)
        for account_id in grant.account_ids:
            reply.ctidTraderAccount.append(self._venue.account_entry(account_id))
        self._link.send(reply, msg_id)

    def _profile(self, request: Any, msg_id: str | None) -> None:
        self._grant(request.accessToken)
        reply = message("ProtoOAGetCtidProfileByTokenRes")()
        reply.profile.userId = 1
        self._link.send(reply, msg_id)

    def _refresh(self, request: Any, msg_id: str | None) -> None:
        issued = self._venue.credentials.refresh(request.refreshToken, self._link.now_ns)
        if issued is None:
            raise Refused("CH_ACCESS_TOKEN_INVALID", "the refresh token is unknown or was used already")
        self._link.send(
            message("ProtoOARefreshTokenRes")(
                accessToken=issued.access_token,
                tokenType="bearer",
                expiresIn=issued.expires_in_s,
                refreshToken=issued.refresh_token,
            ),
            msg_id,
        )
        if issued.replaced is not None:
            self._venue.end_sessions(issued.replaced, "the access token was refreshed")

    def _account_auth(self, request: Any, msg_id: str | None) -> None:
        grant = self._grant(request.accessToken)
        account_id = request.ctidTraderAccountId
        if account_id not in grant.account_ids or account_id not in self._venue.desks:
            raise Refused("CH_CTID_TRADER_ACCOUNT_NOT_FOUND", f"trading account {account_id} is not in the grant")
        self._venue.check_login(account_id)
        if account_id in self.accounts:
            raise Refused("ALREADY_LOGGED_IN", f"trading account {account_id} is authorized on this connection already")
        self.accounts[account_id] = (request.accessToken, grant)
        self._confirm("ProtoOAAccountAuthRes", request, msg_id)

    def _logout(self, request: Any, msg_id: str | None) -> None:
        self.desk(request)
        self._confirm("ProtoOAAccountLogoutRes", request, msg_id)
        self.drop_account(request.ctidTraderAccountId)
        self._link.send(message("ProtoOAAccountDisconnectEvent")(ctidTraderAccountId=request.ctidTraderAccountId))

    def drop_account(self, account_id: int) -> None:
        """End an account's session on this link, with its subscriptions."""
        del self.accounts[account_id]
        self.subscriptions.drop_account(account_id)

    def _margin_call_update(self, request: Any, msg_id: str | None) -> None:
        desk, _ = self.desk(request)
        account_id = desk.account.settings.account_id
        event = self._venue.margin_calls[account_id].update(request.marginCall, self._link.now_ns)
        self._link.send(message("ProtoOAMarginCallUpdateRes")(), msg_id)
        self._venue.broadcast(account_id, event)

    def _confirm(self, name: str, request: Any, msg_id: str | None) -> None:
        self._link.send(message(name)(ctidTraderAccountId=request.ctidTraderAccountId), msg_id)

    # -- market data ------------------------------------------------------------------------------------------------

    def _asked_symbols(self, request: Any) -> list[int]:
        self.desk(request)
        if not request.symbolId:
            raise Refused("INVALID_REQUEST", "no symbolId given")
        return [self._venue.spec(symbol_id).symbol_id for symbol_id in dict.fromkeys(request.symbolId)]

    def _subscribe_spots(self, request: Any, msg_id: str | None) -> None:
        symbols, account_id = self._asked_symbols(request), request.ctidTraderAccountId
        self.subscriptions.add_spots(account_id, symbols, with_time=request.subscribeToSpotTimestamp)
        self._confirm("ProtoOASubscribeSpotsRes", request, msg_id)
        for symbol_id in symbols:
            self._venue.send_latest_spot(self._link, account_id, symbol_id)

    def _unsubscribe_spots(self, request: Any, msg_id: str | None) -> None:
        symbols = self._asked_symbols(request)
        self.subscriptions.remove_spots(request.ctidTraderAccountId, symbols)
        self._confirm("ProtoOAUnsubscribeSpotsRes", request, msg_id)

    def _subscribe_depth(self, request: Any, msg_id: str | None) -> None:
        symbols, account_id = self._asked_symbols(request), request.ctidTraderAccountId
        self.subscriptions.add_depth(account_id, symbols)
        self._confirm("ProtoOASubscribeDepthQuotesRes", request, msg_id)
        for symbol_id in symbols:
            self._venue.send_depth_snapshot(self._link, account_id, symbol_id)

    def _unsubscribe_depth(self, request: Any, msg_id: str | None) -> None:
        symbols = self._asked_symbols(request)
        self.subscriptions.remove_depth(request.ctidTraderAccountId, symbols)
        self._link.send(
            message("ProtoOAUnsubscribeDepthQuotesRes")(ctidTraderAccountId=request.ctidTraderAccountId), msg_id
        )

    def _subscribe_bars(self, request: Any, msg_id: str | None) -> None:
        self.desk(request)
        symbol_id = self._venue.spec(request.symbolId).symbol_id
        self.subscriptions.add_bars(request.ctidTraderAccountId, symbol_id, request.period)
        self._link.send(
            message("ProtoOASubscribeLiveTrendbarRes")(ctidTraderAccountId=request.ctidTraderAccountId), msg_id
        )

    def _unsubscribe_bars(self, request: Any, msg_id: str | None) -> None:
        self.desk(request)
        self.subscriptions.remove_bars(request.ctidTraderAccountId, request.symbolId, request.period)
        self._link.send(
            message("ProtoOAUnsubscribeLiveTrendbarRes")(ctidTraderAccountId=request.ctidTraderAccountId), msg_id
        )
