"""The download's conversation: against the embedded venue on a virtual clock, and against a table of answers."""

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any

import pytest
from enquiry_clerk import SECOND, START, Clerk, build, refusing

from bot.ctrader.enquiry import Enquiry, EnquiryFailed, EnquiryRefused
from bot.ctrader.framing import FrameReader
from bot.ctrader.schema import enum, message, message_for
from bot.ctrader.tick_download import TickDay, TickSource, TickSpan, download_ticks
from bot.sim.change import Change
from bot.sim.entities import AccountSettings
from bot.sim.listing import default_symbols
from bot.sim.market import Market
from bot.sim.past import DAY_MS, DayTicks, Past, synthetic_days
from bot.sim.rate_limits import RateLimits
from bot.sim.venue import Venue

ACCOUNT = 1_000_001
START_MS = START // 1_000_000
TUESDAY_MS = START_MS // DAY_MS * DAY_MS
MONDAY = TickSpan(TUESDAY_MS - DAY_MS, TUESDAY_MS)


class Taker:
    """Wants the same spans of every symbol and keeps everything."""

    def __init__(self, *spans: TickSpan) -> None:
        self.spans = list(spans)
        self.days: list[TickDay] = []
        self.waits: list[float] = []
        self.reached: list[tuple[int, int]] = []
        self.begun: list[tuple[str, TickSpan]] = []

    def missing(self, source: TickSource) -> list[TickSpan]:
        return self.spans

    def begin(self, spans: Sequence[tuple[TickSource, TickSpan]]) -> None:
        self.begun = [(source.symbol, span) for source, span in spans]

    def advanced(self, source: TickSource, span: TickSpan, reached_ms: int, tick_count: int) -> None:
        self.reached.append((reached_ms, tick_count))

    def waiting(self, why: str, seconds: float) -> None:
        self.waits.append(seconds)

    def take(self, day: TickDay) -> None:
        self.days.append(day)


# -- against the embedded venue --------------------------------------------------------------------------------------


def venue(make_day: Callable[..., DayTicks], **options: Any) -> Venue:
    specs = default_symbols()
    streams: dict[Any, Iterator[Change]] = {
        spec: iter([Change(START, spec.symbol_id, 110_000, 110_010)]) for spec in specs
    }
    return Venue(
        Market(streams), accounts=[AccountSettings(ACCOUNT, balance=Decimal(10_000))], client_id="app",
        client_secret="secret", access_token="trade", refresh_token="refresh", view_token="view", start_ns=START,
        past=Past(make_day, begin_ms=START_MS - 40 * DAY_MS, end_ms=START_MS), **options,
    )  # fmt: skip


def converse(served: Venue, script: Any, limit_s: float = 600) -> tuple[Enquiry[Any], list[tuple[int, str]]]:
    """Let a script talk with a venue to its end; return it, and (ns, name) of every request."""
    enquiry: Enquiry[Any] = Enquiry(script, "app", "secret", "run")
    now_ns, asked = START, []
    link, replies, requests = served.connect(now_ns), FrameReader(), FrameReader()
    enquiry.connection_made(now_ns)
    while not enquiry.is_over:
        assert now_ns < START + limit_s * SECOND, "it does not end"
        data = b"".join(enquiry.data_to_send(now_ns))
        for body in requests.receive(data):
            kind = message_for(message("ProtoMessage").FromString(body).payloadType)
            asked.append((now_ns, kind.DESCRIPTOR.name))
        link.receive(data, now_ns)
        frames = replies.receive(link.data_to_send())
        for body in frames:
            enquiry.receive_frame(body, now_ns)
        if not frames and not enquiry.is_over:
            due_ns = enquiry.next_timeout_ns()
            assert due_ns is not None
            now_ns = max(now_ns + 1, due_ns)
            enquiry.handle_timeout(now_ns)
    return enquiry, asked


def script(taker: Taker, *symbols: str, token: str = "view", environment: str = "simulator") -> Any:
    return download_ticks(symbols or ("eurusd",), token, None, environment, taker)


@pytest.mark.parametrize("ticks_per_page", [37, 10_000])
def test_the_venue_s_ticks_come_whole_within_its_limits_and_with_view_scope(ticks_per_page: int) -> None:
    make = synthetic_days(3, 300)
    taker = Taker(MONDAY, TickSpan(TUESDAY_MS + 3_600_000, TUESDAY_MS + 7_200_000))
    enquiry, asked = converse(venue(make, ticks_per_page=ticks_per_page), script(taker, "eurusd", "USDJPY"))
    assert enquiry.error is None
    assert [(d.source.symbol, d.span) for d in taker.days] == [
        (s, span) for s in ("EURUSD", "USDJPY") for span in taker.spans
    ]
    assert taker.begun == [(d.source.symbol, d.span) for d in taker.days]
    euro = taker.days[0]
    assert euro.source == TickSource("EURUSD", 1, 5, "demo")
    whole = make(default_symbols()[0], MONDAY.from_ms // DAY_MS, 110_000)
    assert (euro.bid_count, euro.ask_count) == (len(whole.bids), len(whole.asks))
    last_bid = dict(zip(euro.quotes.times_ms.tolist(), euro.quotes.bids_e5.tolist(), strict=True))
    begin_ms = max(whole.bids[0][0], whole.asks[0][0])
    assert {t: last_bid[t] for t, _ in whole.bids if t >= begin_ms} == {t: p for t, p in whole.bids if t >= begin_ms}
    hour = taker.days[1]
    assert hour.span.from_ms <= hour.quotes.times_ms[0] < hour.quotes.times_ms[-1] < hour.span.to_ms
    times = [time_ns for time_ns, name in asked if name == "ProtoOAGetTickDataReq"]
    assert all(later - first > SECOND for first, later in zip(times, times[5:], strict=False)), "six within a second"
    assert len(times) == 8 if ticks_per_page > 300 else len(times) > 20
    assert {name for _, name in asked} <= {
        "ProtoOAApplicationAuthReq", "ProtoOAGetAccountListByAccessTokenReq", "ProtoOAAccountAuthReq",
        "ProtoOASymbolsListReq", "ProtoOASymbolByIdReq", "ProtoOAGetTickDataReq", "ProtoHeartbeatEvent",
    }  # fmt: skip


def test_a_venue_that_takes_less_and_blocks_for_long_is_waited_out() -> None:
    limits = RateLimits(historical_per_s=2, block_after=2, block_for_ns=90 * SECOND)
    taker = Taker(MONDAY)
    enquiry, _ = converse(venue(synthetic_days(3, 300), ticks_per_page=50, rate_limits=limits), script(taker), 9_000)
    assert enquiry.error is None
    assert taker.waits
    assert 60 < max(taker.waits) <= 90, "longer than an enquiry waits by itself"
    assert taker.days[0].bid_count == len(
        synthetic_days(3, 300)(default_symbols()[0], MONDAY.from_ms // DAY_MS, 110_000).bids
    )


def test_progress_runs_down_the_day_and_a_day_without_ticks_is_handed_over_too() -> None:
    saturday = TickSpan(MONDAY.from_ms - 2 * DAY_MS, MONDAY.to_ms - 2 * DAY_MS)
    taker = Taker(saturday, MONDAY)
    converse(venue(synthetic_days(3, 300), ticks_per_page=50), script(taker))
    assert (len(taker.days[0].quotes.times_ms), taker.days[0].bid_count) == (0, 0)
    of_monday = [reached_ms for reached_ms, _ in taker.reached[1:]]
    assert of_monday == sorted(of_monday, reverse=True)
    assert of_monday[-1] == MONDAY.from_ms


# -- against a table of answers --------------------------------------------------------------------------------------


def light(name: str, number: int, **fields: Any) -> Any:
    return message("ProtoOALightSymbol")(symbolId=number, symbolName=name, **fields)


def clerk_for(taker: Taker, ticks: Callable[[Any], list[Any]], symbol: str = "EURUSD", **replies: Any) -> Clerk:
    accounts = [message("ProtoOACtidTraderAccount")(ctidTraderAccountId=ACCOUNT, isLive=False)]
    lights = [light("EURUSD", 1), light("EURJPY", 2, enabled=False)]
    detail = [message("ProtoOASymbol")(symbolId=1, digits=5, pipPosition=4)]
    table: dict[str, Any] = {
        "GetAccountListByAccessToken": lambda r: [
            build("GetAccountListByAccessTokenRes", accessToken="view", ctidTraderAccount=accounts)
        ],
        "AccountAuth": lambda r: [build("AccountAuthRes")],
        "SymbolsList": lambda r: [build("SymbolsListRes", symbol=lights)],
        "SymbolById": lambda r: [build("SymbolByIdRes", symbol=detail)],
        "GetTickData": ticks,
    }
    return Clerk(script(taker, symbol), **(table | replies)).connect()


def no_ticks(_: Any = None) -> list[Any]:
    return [build("GetTickDataRes", hasMore=False)]


def in_turn(*answers: Callable[[Any], list[Any]]) -> Callable[[Any], list[Any]]:
    """Answer each request with the next of these, then with no ticks."""
    left = iter(answers)
    return lambda request: next(left, no_ticks)(request)


def spans_of(clerk: Clerk, side: str = "BID") -> list[tuple[int, int]]:
    kind = enum("ProtoOAQuoteType")[side]
    asked = [r for _, name, _, r in clerk.asked if name == "GetTickData" and r.type == kind]
    return [(r.fromTimestamp, r.toTimestamp) for r in asked]


@pytest.mark.parametrize(
    ("refusal", "pause_s"),
    [
        ({"code": "BLOCKED_PAYLOAD_TYPE", "retryAfter": 300}, 300),
        ({"code": "SERVER_IS_UNDER_MAINTENANCE"}, 30),
        ({"code": "CANT_ROUTE_REQUEST"}, 30),
    ],
)
def test_what_the_venue_holds_back_is_asked_for_again_after_the_pause(refusal: dict[str, Any], pause_s: float) -> None:
    taker = Taker(MONDAY)
    clerk = clerk_for(taker, in_turn(refusing(**refusal)))
    begun_ns = clerk.now_ns
    clerk.wait(pause_s - 1)
    assert clerk.names.count("GetTickData") == 2, "the other side had its answer"
    clerk.wait(3)
    assert taker.waits == [pause_s]
    assert [time - begun_ns for time, name, _, _ in clerk.asked if name == "GetTickData"][2] >= pause_s * SECOND
    assert clerk.enquiry.is_over
    assert len(taker.days) == 1


def test_a_refused_period_is_halved() -> None:
    taker = Taker(MONDAY)
    limits = refusing("INCORRECT_BOUNDARIES")
    clerk = clerk_for(taker, lambda r: limits(r) if r.toTimestamp - r.fromTimestamp > DAY_MS // 2 else no_ticks())
    clerk.wait(10)
    middle = MONDAY.from_ms + DAY_MS // 2
    assert spans_of(clerk) == [
        (MONDAY.from_ms, MONDAY.to_ms), (middle, MONDAY.to_ms), (MONDAY.from_ms, middle)
    ]  # fmt: skip
    assert len(taker.days) == 1


def test_a_session_that_the_venue_has_ended_is_opened_again() -> None:
    taker = Taker(MONDAY)
    clerk = clerk_for(taker, in_turn(refusing("ACCOUNT_NOT_AUTHORIZED"))).wait(5)
    assert clerk.names.count("AccountAuth") == 2
    assert (clerk.enquiry.error, len(taker.days)) == (None, 1)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (refusing("BLOCKED_PAYLOAD_TYPE", retryAfter=7_200), "BLOCKED_PAYLOAD_TYPE"),
        (refusing("SERVER_IS_UNDER_MAINTENANCE"), "SERVER_IS_UNDER_MAINTENANCE"),
        (refusing("INVALID_REQUEST"), "INVALID_REQUEST"),
        (refusing("INCORRECT_BOUNDARIES"), "INCORRECT_BOUNDARIES"),
        (lambda r: [], "TIMEOUT"),
    ],
)
def test_what_cannot_be_waited_out_ends_it_with_the_refusal(answer: Any, code: str) -> None:
    clerk = clerk_for(Taker(MONDAY), answer).wait(7_000)
    assert clerk.enquiry.is_over
    assert isinstance(clerk.enquiry.error, EnquiryRefused)
    assert clerk.enquiry.error.code == code
    assert clerk.names.count("GetTickData") < 60, "it gives up"


def test_a_lost_connection_keeps_the_days_that_are_whole() -> None:
    tuesday = TickSpan(TUESDAY_MS, TUESDAY_MS + 1_000)
    taker = Taker(MONDAY, tuesday)
    clerk = clerk_for(taker, in_turn(no_ticks, no_ticks, lambda r: [], lambda r: []))
    clerk.enquiry.connection_lost(clerk.now_ns)
    assert isinstance(clerk.enquiry.error, EnquiryRefused)
    assert clerk.enquiry.error.code == "DISCONNECTED"
    assert [day.span for day in taker.days] == [MONDAY]


@pytest.mark.parametrize(
    ("symbol", "words"),
    [
        ("EURUDS", "no symbol 'EURUDS'; close names: EURUSD"),
        ("US500", "no symbol 'US500'; no name is close"),
        ("EURJPY", "EURJPY is disabled"),
    ],
)
def test_a_symbol_that_cannot_be_had_is_exit_2(symbol: str, words: str) -> None:
    clerk = clerk_for(Taker(MONDAY), no_ticks, symbol)
    assert isinstance(clerk.enquiry.error, EnquiryFailed)
    assert clerk.enquiry.error.exit_code == 2
    assert words in clerk.enquiry.error.text


def test_ticks_that_make_no_sense_are_exit_4_with_symbol_and_time() -> None:
    tick = message("ProtoOATickData")(timestamp=5, tick=110_000)
    clerk = clerk_for(Taker(MONDAY), lambda r: [build("GetTickDataRes", hasMore=False, tickData=[tick])])
    assert isinstance(clerk.enquiry.error, EnquiryFailed)
    assert clerk.enquiry.error.exit_code == 4
    assert "EURUSD, ticks of 1699833600000" in clerk.enquiry.error.text
    assert "got 5 to 5" in clerk.enquiry.error.text


def test_a_demo_account_on_live_is_exit_3() -> None:
    enquiry, _ = converse(venue(synthetic_days(1)), script(Taker(MONDAY), environment="live"))
    assert isinstance(enquiry.error, EnquiryFailed)
    assert enquiry.error.exit_code == 3
