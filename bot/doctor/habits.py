"""Habits of the venue beside its market data: round trips, duplicate subscriptions, tick data, heartbeats."""

from itertools import pairwise
from statistics import median
from typing import Any

from bot.ctrader.enquiry import EnquiryRefused, Listen, Script, Timed
from bot.ctrader.schema import enum, message
from bot.ctrader.tick_pages import price_form
from bot.doctor.facts import Facts

ROUND_TRIPS = 5
SLOW_ROUND_TRIP_S = 1.0
LEAST_IDLE_S = 30.0
_TICK_WINDOWS_MS = (60_000, 3_600_000)


def measure_round_trip(facts: Facts) -> Script[None]:
    """Measure how long an answer takes, over a few requests one after the other."""
    times_ms = []
    for _ in range(ROUND_TRIPS):
        (answer,) = yield Timed(message("ProtoOAVersionReq")())
        if answer.recv_ns is not None and answer.written_ns is not None:
            facts.now_ns = max(facts.now_ns, answer.recv_ns)
            times_ms.append((answer.recv_ns - answer.written_ns) / 1e6)
    if not times_ms:
        facts.findings.check("round_trip", "unknown", "no request was answered")
        return
    typical = median(times_ms)
    slow = typical > SLOW_ROUND_TRIP_S * 1000
    text = f"median {typical:.1f} ms, slowest {max(times_ms):.1f} ms of {len(times_ms)}"
    advice = "; quotes are old when they arrive: run the bot nearer to the venue" if slow else ""
    facts.findings.check("round_trip", "warn" if slow else "ok", text + advice, round(typical, 3))


def measure_duplicate_subscription(facts: Facts) -> Script[None]:
    """Subscribe once more to what is subscribed already."""
    if not facts.specs:
        return
    symbol_id = facts.specs[0].symbol_id
    (reply,) = yield [facts.ask("SubscribeSpots", symbolId=[symbol_id], subscribeToSpotTimestamp=True)]
    answer = reply.code if isinstance(reply, EnquiryRefused) else "accepted"
    facts.findings.seen("duplicate_subscription", answer, f"a second subscription to the same spots: {answer}")


def measure_tick_data(facts: Facts) -> Script[None]:
    """Ask for the last minute's ticks and tell in which form they come."""
    if not facts.specs:
        return
    spec = facts.specs[0]
    for window_ms in _TICK_WINDOWS_MS:
        now_ms = facts.now_ns // 1_000_000
        bid = enum("ProtoOAQuoteType")["BID"]
        span = {"fromTimestamp": now_ms - window_ms, "toTimestamp": now_ms}
        (reply,) = yield [facts.ask("GetTickData", symbolId=spec.symbol_id, type=bid, **span)]
        if isinstance(reply, EnquiryRefused):
            facts.findings.seen("tick_data.prices", None, f"refused: {reply.code} {reply.description}")
            return
        ticks = [(int(t.timestamp), int(t.tick)) for t in reply.tickData]
        if len(ticks) >= 2:
            _tell_ticks(facts, ticks)
            return
    facts.findings.seen("tick_data.prices", None, "fewer than two ticks in the last hour")


def _tell_ticks(facts: Facts, ticks: list[tuple[int, int]]) -> None:
    form = price_form([price for _, price in ticks])
    facts.findings.seen("tick_data.prices", form, f"{len(ticks)} bid ticks; prices are {form or 'of a form unknown'}")
    times = [time for time, _ in ticks]
    if all(time > times[0] / 2 for time in times[1:]):
        form, order = "absolute", "newest first" if times[0] >= times[-1] else "oldest first"
    else:
        form, order = "differences", "newest first" if sum(times[1:]) <= 0 else "oldest first"
    facts.findings.seen("tick_data.times", f"{form}, {order}", f"times after the first are {form}, {order}")


def measure_idle(facts: Facts, seconds: float) -> Script[None]:
    """End every subscription and listen to the silence: when does the venue send a heartbeat?"""
    name = "server_heartbeat_s"
    if seconds < LEAST_IDLE_S or not facts.specs:
        text = f"{len(facts.heartbeats)} while market data came; --seconds 75 or more leaves the link idle and measures"
        facts.findings.seen(name, None, text)
        return
    symbol_ids = list(facts.catalogue.subscribed_ids)
    traded = [spec.symbol_id for spec in facts.specs]
    yield [
        facts.ask("UnsubscribeDepthQuotes", symbolId=traded),
        facts.ask("UnsubscribeSpots", symbolId=symbol_ids),
    ]
    facts.hear((yield Listen(0)))
    facts.heartbeats.clear()
    heard: list[Any] = []
    left_s = seconds
    while left_s > 0:
        facts.on_progress(f"listening to the silence: {seconds - left_s:.0f} of {seconds:.0f} s")
        heard += yield Listen(min(1.0, left_s))
        left_s -= 1.0
    facts.hear(heard)
    beats = facts.heartbeats
    gaps = [(later - earlier) / 1e9 for earlier, later in pairwise(beats)]
    if gaps:
        text = f"{len(beats)} in {seconds:.0f} s without market data, median interval {median(gaps):.1f} s"
        facts.findings.seen(name, round(median(gaps), 1), text)
    else:
        facts.findings.seen(name, None, f"{len(beats)} in {seconds:.0f} s without market data; the link stayed up")
