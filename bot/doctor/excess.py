"""Too many requests on purpose: which refusal comes, whether it says for how long, and when the type is served again.

How it works: a burst of one harmless request, more than a second allows, is written at once; up to three bursts, until
something is refused. Then that type is asked for again, once a second at most and ever more slowly after a while, until
it is served. Whether the refused probes make a block longer cannot be known from here, so it is not claimed.
Source: 50 requests/s, historical ones 5/s; REQUEST_FREQUENCY_EXCEEDED, BLOCKED_PAYLOAD_TYPE with retryAfter.
"""

from collections.abc import Callable
from typing import Any

from bot.ctrader.enquiry import Answer, EnquiryRefused, Listen, Script, Timed
from bot.ctrader.refusals import DISCONNECTED, TIMEOUT
from bot.ctrader.schema import enum, message
from bot.ctrader.translate import text as readable
from bot.doctor.facts import Facts

GENERAL_BURST, HISTORICAL_BURST = 60, 10
BURSTS = 3
MOST_PROBING_S = 90.0
BETWEEN_S = 2.0
_EVERY_SECOND_S = 10.0
_HOUR_MS = 3_600_000


def measure_excess(facts: Facts) -> Script[None]:
    """Exceed the limits, one type of request after the other, until the connection is gone or all are measured."""
    kinds: dict[str, tuple[int, Callable[[], Any]]] = {
        "VersionReq": (GENERAL_BURST, lambda: message("ProtoOAVersionReq")())
    }
    if facts.specs:
        kinds["GetTrendbarsReq"] = (HISTORICAL_BURST, lambda: _trendbars(facts))
    kinds["OrderListReq"] = (HISTORICAL_BURST, lambda: facts.ask("OrderList", **_last_hour(facts)))
    for name, (count, request) in kinds.items():
        facts.on_progress(f"too many {name} on purpose")
        if not (yield from _measure(facts, name, count, request)):
            break
    text = "unknown: whether refused requests make a block longer cannot be told from a single connection"
    facts.findings.seen("excess.refused_requests_extend", None, text)


def _measure(facts: Facts, name: str, count: int, request: Callable[[], Any]) -> Script[bool]:
    """Measure one type; return whether the connection still stands."""
    measured = f"excess.{name}"
    for number in range(1, BURSTS + 1):
        facts.hear((yield Listen(BETWEEN_S)))  # what was asked before is not to count
        answers: list[Answer] = yield Timed(*(request() for _ in range(count)), unpaced=True)
        heard = yield Listen(0)
        facts.hear(heard)
        refused = [a.reply for a in answers if isinstance(a.reply, EnquiryRefused)]
        codes = {one.code for one in refused}
        if DISCONNECTED in codes:
            facts.findings.seen(measured, DISCONNECTED, f"the venue closed the connection at {count} at once")
            return False
        # A refusal may come without the id of what it refuses; that request then stays without an answer.
        loose = [one.message for one in heard if one.message.DESCRIPTOR.name in ("ProtoOAErrorRes", "ProtoErrorRes")]
        named = sorted((codes - {TIMEOUT}) | {readable(error.errorCode) for error in loose})
        if named:
            waits = [one.retry_after_s for one in refused if one.retry_after_s is not None]
            waits += [float(e.retryAfter) for e in loose if "retryAfter" in _fields(e) and e.HasField("retryAfter")]
            refused_ns = [a.recv_ns for a in answers if isinstance(a.reply, EnquiryRefused) and a.recv_ns is not None]
            begun_ns = min(refused_ns, default=heard[0].recv_ns if heard else facts.now_ns)
            served = sum(1 for a in answers if not isinstance(a.reply, EnquiryRefused))
            return (yield from _probe(facts, measured, request, named, served, count, number, waits, begun_ns))
        if codes:
            text = f"{len(refused)} of {count} at once were never answered, without a word"
            facts.findings.seen(measured, TIMEOUT, text)
            return True
    facts.findings.seen(measured, "not refused", f"{BURSTS} bursts of {count} at once were all served")
    return True


def _probe(
    facts: Facts, measured: str, request: Callable[[], Any], codes: list[str], served: int, count: int,
    burst: int, waits: list[float], begun_ns: int,
) -> Script[bool]:  # fmt: skip
    """Ask gently until the type is served again, and tell everything."""
    told_s = max(waits) if waits else None
    said = f"retryAfter {told_s:g} s" if told_s is not None else "no retryAfter"
    begun = f"{served} of {count} at once were served (burst {burst}), then {' and '.join(codes)}, {said}"
    value = {"codes": codes, "served": served, "of": count, "retry_after_s": told_s, "served_again_s": None}
    spent_s, refused_s = 0.0, None
    pause_s = told_s if told_s is not None and 0 < told_s <= MOST_PROBING_S else 1.0
    while spent_s + pause_s <= MOST_PROBING_S:
        facts.on_progress(f"{measured}: waiting to be served again, {spent_s:.0f} s")
        facts.hear((yield Listen(pause_s)))
        spent_s += pause_s
        (answer,) = yield Timed(request(), unpaced=True)
        if not isinstance(answer.reply, EnquiryRefused):
            value["served_again_s"] = again_s = round((answer.recv_ns - begun_ns) / 1e9, 1)
            since = "at the first probe" if refused_s is None else f"still refused after {refused_s:.1f} s"
            facts.findings.seen(measured, value, f"{begun}; served again after {again_s:g} s, {since}")
            return True
        if answer.reply.code == DISCONNECTED:
            facts.findings.seen(measured, value, f"{begun}; the venue closed the connection {spent_s:.0f} s later")
            return False
        if answer.recv_ns is not None:
            refused_s = (answer.recv_ns - begun_ns) / 1e9
        pause_s = 1.0 if spent_s < _EVERY_SECOND_S else pause_s * 2
    facts.findings.seen(measured, value, f"{begun}; not served again within {MOST_PROBING_S:.0f} s")
    return True


def _trendbars(facts: Facts) -> Any:
    minute = enum("ProtoOATrendbarPeriod")["M1"]
    return facts.ask("GetTrendbars", symbolId=facts.specs[0].symbol_id, period=minute, **_last_hour(facts))


def _last_hour(facts: Facts) -> dict[str, int]:
    now_ms = facts.now_ns // 1_000_000
    return {"fromTimestamp": now_ms - _HOUR_MS, "toTimestamp": now_ms}


def _fields(entity: Any) -> Any:
    return entity.DESCRIPTOR.fields_by_name
