"""The accounts that an access token opens, and what it may do with them: one question to the venue."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Literal

from bot.ctrader.schema import enum, message
from bot.ctrader.translate import text


@dataclass(frozen=True, slots=True)
class GrantedAccount:
    """An account of the grant.

    Missing: None for what the venue leaves out; `kind` then says neither demo nor live.
    Source: ProtoOACtidTraderAccount {ctidTraderAccountId, isLive, traderLogin, brokerTitleShort}.
    """

    account_id: int
    login: int | None
    kind: Literal["demo", "live"] | None
    broker: str | None


@dataclass(frozen=True, slots=True)
class GrantedAccounts:
    """What a token opens. `scope` is None when the venue does not say it. Source: ProtoOAClientPermissionScope."""

    scope: Literal["trade", "view"] | None
    accounts: tuple[GrantedAccount, ...]


def granted_accounts(access_token: str) -> Generator[Any, Any, GrantedAccounts]:
    """Ask for the accounts of a token: a script for `bot.ctrader.enquiry.Enquiry`.

    Raises: EnquiryRefused, thrown in by the enquiry.
    """
    reply = yield message("ProtoOAGetAccountListByAccessTokenReq")(accessToken=access_token)
    scope: Literal["trade", "view"] | None = None
    if reply.HasField("permissionScope"):
        is_trade = reply.permissionScope == enum("ProtoOAClientPermissionScope")["SCOPE_TRADE"]
        scope = "trade" if is_trade else "view"
    return GrantedAccounts(scope, tuple(_account(entry) for entry in reply.ctidTraderAccount))


def _account(entry: Any) -> GrantedAccount:
    kind: Literal["demo", "live"] | None = None
    if entry.HasField("isLive"):
        kind = "live" if entry.isLive else "demo"
    return GrantedAccount(
        entry.ctidTraderAccountId,
        entry.traderLogin if entry.HasField("traderLogin") else None,
        kind,
        text(entry.brokerTitleShort) if entry.HasField("brokerTitleShort") else None,
    )
