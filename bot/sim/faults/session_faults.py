"""What can go wrong with sessions, tokens, limits and the venue's servers. Units: times in ns."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AccountDisconnect:
    """The account's session ends with ProtoOAAccountDisconnectEvent; the connection stays."""


@dataclass(frozen=True, slots=True)
class TokenInvalidated:
    """The account's session ends with ProtoOAAccountsTokenInvalidatedEvent; the token itself stays good."""

    reason: str = "the token was invalidated by a fault of the simulator"


@dataclass(frozen=True, slots=True)
class ClientDisconnect:
    """ProtoOAClientDisconnectEvent, then the connection ends."""

    reason: str = "disconnected by a fault of the simulator"


@dataclass(frozen=True, slots=True)
class ExpireToken:
    """The access token counts as expired from now on; requests with it are answered with `code`."""

    code: str = "OA_AUTH_TOKEN_EXPIRED"  # or CH_ACCESS_TOKEN_INVALID


@dataclass(frozen=True, slots=True)
class Block:
    """Requests of these types are refused with BLOCKED_PAYLOAD_TYPE for `retry_after_ns`.

    `tells_retry_after`: whether the refusals carry retryAfter; `extends`: each one starts the block anew.
    """

    requests: tuple[str, ...]
    retry_after_ns: int
    tells_retry_after: bool = True
    extends: bool = False


@dataclass(frozen=True, slots=True)
class Rate:
    """Other limits on requests; a field left out (None) stays as it is. Lasts."""

    requests_per_s: int | None = None
    historical_per_s: int | None = None
    count_refused: bool | None = None
    block_after: int | None = None
    block_window_ns: int | None = None
    block_for_ns: int | None = None
    refused_extend: bool | None = None
    tells_retry_after: bool | None = None
    platform: bool | None = None


@dataclass(frozen=True, slots=True)
class Maintenance:
    """Every request is refused with SERVER_IS_UNDER_MAINTENANCE and when it ends. Lasts, and needs an end.

    `shape`: error_res (ProtoOAErrorRes, the end in seconds) or common (ProtoErrorRes, in milliseconds).
    """

    shape: str = "error_res"
    connections: str = "accepted"  # new ones: accepted | refused


@dataclass(frozen=True, slots=True)
class RefuseConnections:
    """New connections are reset at once. Lasts."""


@dataclass(frozen=True, slots=True)
class NotRoutable:
    """Requests on an account are refused with CANT_ROUTE_REQUEST. Lasts."""


@dataclass(frozen=True, slots=True)
class ServerUnreachable:
    """Requests on an account are refused with CH_SERVER_NOT_REACHABLE. Lasts."""
