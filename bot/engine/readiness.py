"""Why we may or may not trade, in codes for programs and in words for people."""

from collections.abc import Mapping

from bot.engine.decision import EngineState

_WORDS = {
    "connecting": "connecting to the venue",
    "authenticating": "authenticating",
    "loading_account": "loading the account",
    "loading_symbols": "loading the symbols",
    "reconciling": "asking the venue for positions and orders",
    "subscribing": "subscribing to spot prices and depth",
    "disconnected": "the connection is lost; reconnecting",
    "waiting_until": "the venue will not take us before {0} (maintenance, or too many connections)",
    "refreshing_token": "the access token is not valid any more; getting another",
    "account_disconnected": "the venue ended the account's session; logging in again",
    "waiting_for_quotes": "no two-sided quote yet for {0}",
    "stale_quote": "no fresh quote for {0}; it may only be reduced",
    "market_closed": "{0} is closed; nothing is sent until it opens",
    "trading_mode": "the broker has restricted trading in {0}",
    "book_health": "the book of {0} is crossed or disagrees with its spot price; it may only be reduced",
    "no_depth": "the broker sends no depth for {0}: cost and liquidity are judged by the spread alone",
    "unknown_order": "the outcome of an order on {0} is unknown; asking the venue",
    "closed_by_hand": "a position of ours in {0} was closed by somebody else: hands off until `microlev resume`",
    "protective_exit": "a protective stop or target closed our position in {0}: hands off until `microlev resume`",
    "unpriced_position": "position {0} is in a symbol that is not loaded: equity is unknown",
}


def words(code: str) -> str:
    """Return a reason for a person: `stale_quote:EURUSD` -> "no fresh quote for EURUSD; …"."""
    kind, _, subject = code.partition(":")
    return _WORDS.get(kind, code).format(subject)


class Readiness:
    """Holds the session's own reasons and notices when the whole picture changes."""

    def __init__(self) -> None:
        self.session: tuple[str, ...] = ("connecting",)
        self._shown: EngineState | None = None
        self._told: tuple[tuple[str, ...], str, Mapping[str, str | None]] | None = None

    @property
    def session_ready(self) -> bool:
        """Whether the session stands: connected, authenticated, reconciled, subscribed."""
        return not self.session

    def changed(self, trading: str, doubts: Mapping[str, str | None]) -> EngineState | None:
        """Return the state to report, or None when it is what was reported last.

        Args: `doubts` concern single symbols: they are shown once the session stands, and the account stays ready. Each
            comes with what to tell a person, None where the code has words of its own; the same object as at the
            last call says that nothing has changed.
        """
        told = (self.session, trading, doubts)
        if self._told is not None and told[0] is self._told[0] and told[1] == trading and doubts is self._told[2]:
            return None
        self._told = told
        reasons = self.session or tuple(doubts)
        texts = tuple(doubts.get(reason) or words(reason) for reason in reasons)
        state = EngineState(self.session_ready, reasons, texts, trading)
        if state == self._shown:
            return None
        self._shown = state
        return state
