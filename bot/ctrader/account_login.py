"""Choosing an account of a grant and opening its session, for an `Enquiry`."""

from bot.ctrader.enquiry import EnquiryFailed, EnquiryRefused, Script
from bot.ctrader.granted_accounts import GrantedAccount, GrantedAccounts
from bot.ctrader.refusals import EXIT_NOT_AUTHORISED
from bot.ctrader.schema import message


def kind_of(account: GrantedAccount) -> str:
    """Return `demo`, `live` or `kind unknown`."""
    return account.kind or "kind unknown"


def choose_account(granted: GrantedAccounts, account_id: int | None) -> GrantedAccount:
    """Return an account of the grant; the first one for None.

    Raises: EnquiryFailed (3) when it is not in the grant, or the grant is empty.
    """
    if account_id is None:
        if granted.accounts:
            return granted.accounts[0]
        why = "the token grants no trading account; log in again and tick the account"
        raise EnquiryFailed(EXIT_NOT_AUTHORISED, why)
    for account in granted.accounts:
        if account.account_id == account_id:
            return account
    listed = ", ".join(f"{a.account_id} ({kind_of(a)})" for a in granted.accounts) or "none"
    why = f"account.id: account {account_id} is not in the token's grant; accounts granted: {listed}"
    raise EnquiryFailed(EXIT_NOT_AUTHORISED, why)


def check_kind(account: GrantedAccount, environment: str) -> None:
    """Check that an account is of the kind its environment has; the simulator has both.

    Raises: EnquiryFailed (3) for a live account on demo, and the other way round.
    """
    if environment != "simulator" and account.kind not in (None, environment):
        why = f"account.id: account {account.account_id} is {account.kind}, but venue.environment is {environment}"
        raise EnquiryFailed(EXIT_NOT_AUTHORISED, why)


def log_in(account_id: int, access_token: str) -> Script[None]:
    """Open the account's session; a script. A session that is there already is as good."""
    try:
        yield message("ProtoOAAccountAuthReq")(ctidTraderAccountId=account_id, accessToken=access_token)
    except EnquiryRefused as refused:
        if not refused.is_done_already:
            raise
