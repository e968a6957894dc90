"""Error codes of the venue and what to do about each.

The wire carries the code as a string that holds the name of an enum value; names outside every published enum occur.
Meanings, not numbers, decide: `rule_for(code)` always gives an answer. Source: ProtoOAErrorCode, ProtoErrorCode, and
`errorCode` of ProtoOAErrorRes, ProtoErrorRes, ProtoOAOrderErrorEvent and ProtoOAExecutionEvent.
"""

from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any


class Reaction(Enum):
    """What an error code asks of us."""

    SUCCESS = "treat as done"
    RETRY = "try again after a pause"
    SLOW_DOWN = "try again later and slower"
    AUTHENTICATE = "authenticate again, then retry"
    FATAL = "stop and tell a person"
    OUTCOME_UNKNOWN = "an order may or may not have been executed: resolve it before anything else"
    CORRECT = "do not repeat the request as it is"


@dataclass(frozen=True, slots=True)
class ErrorRule:
    """The reaction to one code and its meaning for a person."""

    reaction: Reaction
    meaning: str


_SUCCESS, _RETRY, _SLOW, _AUTH, _FATAL, _UNKNOWN, _CORRECT = Reaction

RULES = MappingProxyType(
    {
        "UNKNOWN_ERROR": ErrorRule(_UNKNOWN, "the venue reported an error without a cause"),
        "UNSUPPORTED_MESSAGE": ErrorRule(_CORRECT, "the venue does not know this kind of message"),
        "INVALID_REQUEST": ErrorRule(_CORRECT, "the request was not valid"),
        "TIMEOUT_ERROR": ErrorRule(_UNKNOWN, "the request timed out inside the venue"),
        "ENTITY_NOT_FOUND": ErrorRule(_CORRECT, "the id is unknown to the venue"),
        "CANT_ROUTE_REQUEST": ErrorRule(_RETRY, "the venue lost its trading server, or the account is on another host"),
        "FRAME_TOO_LONG": ErrorRule(_CORRECT, "the message was too long"),
        "MARKET_CLOSED": ErrorRule(_CORRECT, "the market is closed"),
        "CONCURRENT_MODIFICATION": ErrorRule(_RETRY, "the order is being executed"),
        "BLOCKED_PAYLOAD_TYPE": ErrorRule(_SLOW, "this kind of request is blocked for a while"),
        "OA_AUTH_TOKEN_EXPIRED": ErrorRule(_FATAL, "the access token has expired"),
        "ACCOUNT_NOT_AUTHORIZED": ErrorRule(_AUTH, "the account has no session on this connection"),
        "RET_NO_SUCH_LOGIN": ErrorRule(_FATAL, "the trading account does not exist"),
        "ALREADY_LOGGED_IN": ErrorRule(_SUCCESS, "the account already has a session on this connection"),
        "INCORRECT_BOUNDARIES": ErrorRule(_CORRECT, "the time range is not accepted"),
        "RET_ACCOUNT_DISABLED": ErrorRule(_FATAL, "the trading account is disabled"),
        "CONNECTIONS_LIMIT_EXCEEDED": ErrorRule(_RETRY, "the application has too many connections open"),
        "WORSE_GSL_NOT_ALLOWED": ErrorRule(_CORRECT, "a guaranteed stop may not be widened"),
        "SYMBOL_HAS_HOLIDAY": ErrorRule(_CORRECT, "the symbol has a holiday"),
        "CH_CLIENT_AUTH_FAILURE": ErrorRule(_FATAL, "the client id or secret is wrong, or the application not active"),
        "CH_CLIENT_NOT_AUTHENTICATED": ErrorRule(_AUTH, "the application has no session on this connection"),
        "CH_CLIENT_ALREADY_AUTHENTICATED": ErrorRule(_SUCCESS, "the application already has a session"),
        "CH_ACCESS_TOKEN_INVALID": ErrorRule(_FATAL, "the access token is not valid"),
        "CH_SERVER_NOT_REACHABLE": ErrorRule(_UNKNOWN, "the trading server cannot be reached"),
        "CH_CTID_TRADER_ACCOUNT_NOT_FOUND": ErrorRule(_FATAL, "the account is not in the grant, or on another host"),
        "CH_OA_CLIENT_NOT_FOUND": ErrorRule(_FATAL, "the client id is unknown"),
        "REQUEST_FREQUENCY_EXCEEDED": ErrorRule(_SLOW, "too many requests a second"),
        "SERVER_IS_UNDER_MAINTENANCE": ErrorRule(_RETRY, "the venue is under maintenance"),
        "CHANNEL_IS_BLOCKED": ErrorRule(_FATAL, "the venue blocks operations for this account"),
        "NOT_SUBSCRIBED_TO_SPOTS": ErrorRule(_RETRY, "depth and bars need a spot subscription first"),
        "ALREADY_SUBSCRIBED": ErrorRule(_SUCCESS, "the subscription exists"),
        "SYMBOL_NOT_FOUND": ErrorRule(_CORRECT, "the symbol does not exist"),
        "UNKNOWN_SYMBOL": ErrorRule(_CORRECT, "the symbol does not exist"),
        "NO_QUOTES": ErrorRule(_CORRECT, "there is no price"),
        "NOT_ENOUGH_MONEY": ErrorRule(_CORRECT, "the free margin does not suffice"),
        "MAX_EXPOSURE_REACHED": ErrorRule(_CORRECT, "the broker's exposure limit is reached"),
        "POSITION_NOT_FOUND": ErrorRule(_CORRECT, "the position does not exist (any more)"),
        "ORDER_NOT_FOUND": ErrorRule(_CORRECT, "the order does not exist (any more)"),
        "POSITION_NOT_OPEN": ErrorRule(_CORRECT, "the position is not open (any more)"),
        "POSITION_LOCKED": ErrorRule(_RETRY, "the position is busy"),
        "PENDING_EXECUTION": ErrorRule(_RETRY, "the order is being executed"),
        "TOO_MANY_POSITIONS": ErrorRule(_CORRECT, "the number of positions is at its limit"),
        "TRADING_BAD_VOLUME": ErrorRule(_CORRECT, "the volume is not allowed"),
        "TRADING_BAD_STOPS": ErrorRule(_CORRECT, "the stop loss or take profit is not allowed"),
        "TRADING_BAD_PRICES": ErrorRule(_CORRECT, "the price is not allowed"),
        "TRADING_BAD_STAKE": ErrorRule(_CORRECT, "the stake is not allowed"),
        "TRADING_BAD_EXPIRATION_DATE": ErrorRule(_CORRECT, "the expiration date is not allowed"),
        "PROTECTION_IS_TOO_CLOSE_TO_MARKET": ErrorRule(_CORRECT, "the protection is too close to the market"),
        "TRADING_DISABLED": ErrorRule(_CORRECT, "trading of the symbol is disabled"),
        "TRADING_NOT_ALLOWED": ErrorRule(_CORRECT, "the account may not trade"),
        "UNABLE_TO_CANCEL_ORDER": ErrorRule(_CORRECT, "the order could not be cancelled"),
        "UNABLE_TO_AMEND_ORDER": ErrorRule(_CORRECT, "the order could not be amended"),
        "SHORT_SELLING_NOT_ALLOWED": ErrorRule(_CORRECT, "the symbol may not be sold short"),
    }
)

MAINTENANCE = "SERVER_IS_UNDER_MAINTENANCE"
# Fatal only when no other token can be had.
TOKEN_CODES = ("CH_ACCESS_TOKEN_INVALID", "OA_AUTH_TOKEN_EXPIRED")
# A number of seconds reaches this in the year 5138, one of milliseconds in 1973.
_LEAST_MS = 100_000_000_000


def maintenance_end_ns(error: Any) -> int | None:
    """Return when the venue says its maintenance will be over, UTC ns; None when it does not say.

    ProtoErrorRes gives milliseconds and ProtoOAErrorRes seconds by their comments; the size tells them apart for sure.
    """
    stated = getattr(error, "maintenanceEndTimestamp", 0)
    if stated <= 0:
        return None
    return int(stated * (1_000_000 if stated >= _LEAST_MS else 1_000_000_000))


def rule_for(code: str, description: str = "", *, trading: bool = False) -> ErrorRule:
    """Return what to do about an error code.

    A code nobody has listed leaves an order's outcome unknown (`trading`), and is not retried elsewhere. Some servers
    report a lost account session as INVALID_REQUEST and say so in the text only.
    """
    if code == "INVALID_REQUEST" and "not authorized" in description.lower():
        return RULES["ACCOUNT_NOT_AUTHORIZED"]
    known = RULES.get(code)
    if known is not None:
        return known
    return ErrorRule(_UNKNOWN if trading else _CORRECT, "the code is not documented")


_ADVICE = MappingProxyType(
    {
        "CH_CLIENT_AUTH_FAILURE": "Check credentials.client_id and client_secret, and that the application is Active.",
        "CH_OA_CLIENT_NOT_FOUND": "Check credentials.client_id at openapi.ctrader.com.",
        "OA_AUTH_TOKEN_EXPIRED": "Get a new one with `microlev auth login`.",
        "CH_ACCESS_TOKEN_INVALID": "Get a new one with `microlev auth login`.",
        "CH_CTID_TRADER_ACCOUNT_NOT_FOUND": "Check account.id and venue.environment, or grant the account again.",
        "RET_NO_SUCH_LOGIN": "Check account.id with the broker.",
        "RET_ACCOUNT_DISABLED": "Ask the broker to enable it.",
        "CHANNEL_IS_BLOCKED": "Ask the broker why.",
    }
)


def fatal_text(code: str, description: str = "") -> str:
    """Return one line for a person: what is wrong, the code, the venue's words, and what to do."""
    meaning = rule_for(code).meaning
    said = f" ({code}: {description})" if description else f" ({code})"
    return f"{meaning}{said}. {_ADVICE.get(code, 'Ask the broker, quoting the code.')}"
