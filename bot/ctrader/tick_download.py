"""Downloads ticks of whole periods, day by day: a script for an `Enquiry`.

How it works: the symbols are looked up first, then a `TickTaker` says which days of each are missing. A day is asked
for on both sides at once, page after page, and handed over when it is whole; so a conversation that ends loses what it
has of one day. What the venue holds back for a while (`retryAfter`, maintenance) is waited out here.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Protocol

from bot.ctrader.account_login import check_kind, choose_account, log_in
from bot.ctrader.enquiry import EnquiryFailed, EnquiryRefused, Listen, Script
from bot.ctrader.errors import Reaction, rule_for
from bot.ctrader.granted_accounts import granted_accounts
from bot.ctrader.refusals import DISCONNECTED, EXIT_UNREACHABLE, EXIT_USAGE, TIMEOUT
from bot.ctrader.schema import enum, message
from bot.ctrader.tick_merge import Quotes, merge_sides
from bot.ctrader.tick_pages import TickPages, TicksUnreadable, read_page
from bot.ctrader.translate import text

SIDES = ("BID", "ASK")
LONGEST_WAIT_S = 3_600.0
"""A venue that holds requests back for longer ends the download; it goes on where it was when started again."""

_MOST_REFUSALS = 20
_BLOCK_S, _RETRY_S, _LONGEST_PAUSE_S = 60.0, 30.0, 300.0
"""What is waited where the venue does not say how long; doubled each time, up to the last."""


@dataclass(frozen=True, slots=True)
class TickSource:
    """A symbol as the venue lists it for an account.

    Missing: `digits` None when the venue does not say; `account_kind` (demo, live) too.
    """

    symbol: str
    symbol_id: int
    digits: int | None
    account_kind: str | None


@dataclass(frozen=True, slots=True)
class TickSpan:
    """A period within one UTC day, end exclusive. Units: ms since the epoch."""

    from_ms: int
    to_ms: int


@dataclass(frozen=True, slots=True)
class TickDay:
    """What came for a span of a symbol's day."""

    source: TickSource
    span: TickSpan
    quotes: Quotes
    bid_count: int
    ask_count: int


class TickTaker(Protocol):
    """Who knows what is there already, and keeps what comes."""

    def missing(self, source: TickSource) -> Sequence[TickSpan]:
        """Return what to ask for of a symbol, oldest first."""

    def begin(self, spans: Sequence[tuple[TickSource, TickSpan]]) -> None:
        """See everything that is going to be asked for."""

    def advanced(self, source: TickSource, span: TickSpan, reached_ms: int, tick_count: int) -> None:
        """See how far a span has come, from its end downwards, with how many ticks."""

    def waiting(self, why: str, seconds: float) -> None:
        """See that the venue holds requests back."""

    def take(self, day: TickDay) -> None:
        """Keep a whole span."""


def download_ticks(
    symbols: Iterable[str], access_token: str, account_id: int | None, environment: str, taker: TickTaker
) -> Script[None]:
    """Ask for everything that `taker` misses of the symbols; a script. It only reads.

    Args: `account_id` None takes the first account of the grant.
    Raises: EnquiryFailed: 2 for an unknown or disabled symbol, 3 for an account that cannot be used, 4 for answers that
        make no sense. EnquiryRefused for what the venue refuses, or when the connection is gone.
    """
    account = choose_account((yield from granted_accounts(access_token)), account_id)
    check_kind(account, environment)

    def log_in_again() -> Script[None]:
        return log_in(account.account_id, access_token)

    yield from log_in_again()

    def ask(name: str, **fields: Any) -> Any:
        return message(name)(ctidTraderAccountId=account.account_id, **fields)

    lights = _chosen(symbols, (yield ask("ProtoOASymbolsListReq")).symbol)
    details = yield ask("ProtoOASymbolByIdReq", symbolId=[light.symbolId for light in lights])
    digits = {symbol.symbolId: symbol.digits for symbol in details.symbol}
    sources = [
        TickSource(text(light.symbolName), light.symbolId, digits.get(light.symbolId), account.kind) for light in lights
    ]
    spans = [(source, span) for source in sources for span in taker.missing(source)]
    taker.begin(spans)
    for source, span in spans:
        sides = yield from _both_sides(ask, source, span, taker, log_in_again)
        bids, asks = (side.ticks() for side in sides)
        quotes = merge_sides(bids, asks)
        taker.take(TickDay(source, span, quotes, len(bids.times_ms), len(asks.times_ms)))


def _chosen(names: Iterable[str], lights: Iterable[Any]) -> list[Any]:
    listed = {text(light.symbolName).casefold(): light for light in lights}
    chosen = {}
    for name in names:
        light = listed.get(name.casefold())
        if light is None:
            close = [text(listed[n].symbolName) for n in get_close_matches(name.casefold(), listed, n=5, cutoff=0.5)]
            hint = f"close names: {', '.join(close)}" if close else "no name is close to it"
            raise EnquiryFailed(EXIT_USAGE, f"the venue has no symbol {name!r}; {hint}")
        if light.HasField("enabled") and not light.enabled:
            raise EnquiryFailed(EXIT_USAGE, f"{text(light.symbolName)} is disabled at this venue")
        chosen[light.symbolId] = light
    return list(chosen.values())


def _both_sides(
    ask: Callable[..., Any],
    source: TickSource,
    span: TickSpan,
    taker: TickTaker,
    log_in_again: Callable[[], Script[None]],
) -> Script[list[TickPages]]:
    sides = {enum("ProtoOAQuoteType")[name]: TickPages(span.from_ms, span.to_ms) for name in SIDES}
    refusals = 0
    while True:
        asked = [(kind, pages, pages.next_span_ms) for kind, pages in sides.items() if pages.next_span_ms is not None]
        if not asked:
            return list(sides.values())
        replies = yield [
            ask(
                "ProtoOAGetTickDataReq",
                symbolId=source.symbol_id,
                type=kind,
                fromTimestamp=start_ms,
                toTimestamp=end_ms,
            )
            for kind, _, (start_ms, end_ms) in asked
        ]
        wait_s, has_session = 0.0, True
        for (_, pages, _), reply in zip(asked, replies, strict=True):
            if not isinstance(reply, EnquiryRefused):
                _read(reply, pages, source, span)
            elif reply.code != "INCORRECT_BOUNDARIES" or not pages.halve():
                wait_s = max(wait_s, _wait_s(reply, refusals))
                has_session &= _reaction(reply) is not Reaction.AUTHENTICATE
        refusals = refusals + 1 if wait_s else 0
        reached_ms = max(pages.reached_ms for pages in sides.values())
        taker.advanced(source, span, reached_ms, sum(pages.tick_count for pages in sides.values()))
        if not has_session:
            yield from log_in_again()
        elif wait_s:
            taker.waiting("the venue holds requests for ticks back", wait_s)
            yield Listen(wait_s)


def _read(reply: Any, pages: TickPages, source: TickSource, span: TickSpan) -> None:
    try:
        pages.take(read_page(reply.tickData), has_more=reply.hasMore)
    except TicksUnreadable as error:
        why = f"{source.symbol}, ticks of {span.from_ms} to {span.to_ms} ms: {error}"
        raise EnquiryFailed(EXIT_UNREACHABLE, why) from None


def _wait_s(refused: EnquiryRefused, refusals: int) -> float:
    """Return how long to wait before a request is repeated, which was in vain `refusals` times before.

    Raises: EnquiryRefused when repeating it makes no sense.
    """
    reaction, stated_s = _reaction(refused), refused.retry_after_s
    may_repeat = reaction in (Reaction.SLOW_DOWN, Reaction.RETRY, Reaction.AUTHENTICATE)
    is_too_long = stated_s is not None and stated_s > LONGEST_WAIT_S
    if refused.code in (TIMEOUT, DISCONNECTED) or not may_repeat or is_too_long or refusals >= _MOST_REFUSALS:
        raise refused
    return stated_s or min(_LONGEST_PAUSE_S, (_RETRY_S if reaction is Reaction.RETRY else _BLOCK_S) * 2.0**refusals)


def _reaction(refused: EnquiryRefused) -> Reaction:
    return rule_for(refused.code, refused.description).reaction
