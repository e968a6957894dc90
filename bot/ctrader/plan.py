"""What a session is told before it starts, and the verdict with which it may refuse to go on."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """Everything a session needs to know. Secrets are kept out of `repr`, so that a log of the plan shows none.

    `symbols` are the traded names as in the config, in this order. `run_id` starts every message id and must be new in
    each process. `trade` demands a token with the trade scope. `account_id` None takes the first account of the grant.
    `renewable` says that the token comes from a file, where another may be found or put; `token_expires_ns` is UTC.
    `sharers` is how many accounts share the connection, this one included. `label` marks our orders: the symbols of
    those that rest are loaded, traded or not.
    """

    client_id: str
    client_secret: str = field(repr=False)
    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    account_id: int | None
    environment: str  # simulator | demo | live
    trade: bool
    symbols: tuple[str, ...]
    run_id: str
    token_expires_ns: int | None = None
    renewable: bool = False
    sharers: int = 1
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Fatal:
    """Why no reconnect can help. Exit codes: 2 unknown or disabled symbol, 3 not authorised."""

    exit_code: int
    text: str


class HandshakeRefused(Exception):
    """The venue's answers make it impossible to run this plan; `fatal` says why, for a person."""

    def __init__(self, exit_code: int, text: str) -> None:
        super().__init__(text)
        self.fatal = Fatal(exit_code, text)
