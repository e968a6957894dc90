"""Market data: does it come, how much of it, in which form, and does its time agree with ours."""

from typing import Any

from bot.ctrader.enquiry import EnquiryRefused, Listen, Script, failure_of
from bot.doctor.depth_form import DepthForm, form_of
from bot.doctor.facts import Facts
from bot.doctor.venue_time import read_clock
from bot.market.symbols import SymbolSpec

FIRST_PRICES_S = 5.0
RESUBSCRIBED_S = 1.0
LARGEST_OFFSET_S = 1.0


def subscribe(facts: Facts) -> Script[None]:
    """Subscribe to spots, with their times, and to depth; wait a little for the first prices."""
    spot_ids = list(facts.catalogue.subscribed_ids)
    depth_ids = [spec.symbol_id for spec in facts.specs]
    if not depth_ids:
        return
    (reply,) = yield [facts.ask("SubscribeSpots", symbolId=spot_ids, subscribeToSpotTimestamp=True)]
    if isinstance(reply, EnquiryRefused) and not reply.is_done_already:
        failed = failure_of(reply)
        facts.findings.check("spots", "fail", failed.text, exit_code=failed.exit_code)
        return
    waiting = set(spot_ids)

    def is_last_price(event: Any) -> bool:
        if event.DESCRIPTOR.name == "ProtoOASpotEvent":
            waiting.discard(event.symbolId)
        return not waiting

    facts.on_progress("waiting for the first prices")
    facts.hear((yield Listen(FIRST_PRICES_S, until=is_last_price)))
    (reply,) = yield [facts.ask("SubscribeDepthQuotes", symbolId=depth_ids)]
    if isinstance(reply, EnquiryRefused) and not reply.is_done_already:
        facts.findings.check("depth", "fail", f"the venue refuses depth: {reply.code} {reply.description}")


def listen(facts: Facts, seconds: float) -> Script[None]:
    """Listen for a time, a second at once so that a terminal sees it go on."""
    left_s = seconds
    while left_s > 0:
        facts.on_progress(f"listening to the market: {seconds - left_s:.0f} of {seconds:.0f} s")
        piece_s = min(1.0, left_s)
        facts.hear((yield Listen(piece_s)))
        left_s -= piece_s
        facts.listened_s += piece_s


def check_streams(facts: Facts) -> None:
    """Say for each symbol what came."""
    for spec in facts.specs:
        _check_spot(facts, spec)
        _check_depth(facts, spec)
    _check_clock(facts)


def _check_spot(facts: Facts, spec: SymbolSpec) -> None:
    stream, name = facts.stream(spec.symbol_id), f"spot:{spec.name}"
    if stream.bid_e5 is None or stream.ask_e5 is None:
        sides = "no price" if stream.bid_e5 is stream.ask_e5 is None else "only one side"
        facts.findings.check(name, "unknown", f"{sides} came{_why_quiet(facts, spec)}")
        return
    rate = round(len(stream.spots) / max(facts.listened_s, 1e-9), 2)
    prices = f"{stream.bid_e5 / 1e5:.{spec.digits}f} / {stream.ask_e5 / 1e5:.{spec.digits}f}"
    if stream.bid_e5 >= stream.ask_e5:
        facts.findings.check(name, "warn", f"{prices}: the bid is not below the ask", rate)
    elif len(stream.spots) == 1:
        facts.findings.check(name, "unknown", f"{prices}, and it did not move{_why_quiet(facts, spec)}", rate)
    else:
        facts.findings.check(name, "ok", f"{prices}, {rate:.1f} events/s", rate)


def _check_depth(facts: Facts, spec: SymbolSpec) -> None:
    stream, name = facts.stream(spec.symbol_id), f"depth:{spec.name}"
    if not stream.depth:
        moves = len(stream.spots) > 1
        text = "no depth came although prices move: the broker may give none for this symbol" if moves else "none came"
        facts.findings.check(name, "warn" if moves else "unknown", f"{text}{_why_quiet(facts, spec)}")
        return
    form = form_of(stream.depth, stream.spots)
    bids, asks = form.levels()
    rate = round(form.event_count / max(facts.listened_s, 1e-9), 2)
    text = f"{bids} bid and {asks} ask levels, {rate:.1f} events/s"
    if form.crossed:
        share = form.crossed / form.event_count
        facts.findings.check(name, "warn", f"{text}; crossed at {form.crossed} events ({share:.0%})", rate)
    elif not bids or not asks:
        facts.findings.check(name, "warn", f"{text}: one side is empty", rate)
    else:
        facts.findings.check(name, "ok", text, rate)


def _why_quiet(facts: Facts, spec: SymbolSpec) -> str:
    is_open = facts.open_now.get(spec.symbol_id)
    if is_open is None:
        return ""
    return f" in {facts.listened_s:.0f} s" if is_open else "; the market is closed"


def _check_clock(facts: Facts) -> None:
    findings = facts.findings
    # The first event of a symbol repeats a price that may be old.
    moving = [one for stream in facts.streams.values() for one in stream.spots[1:]]
    samples = [(recv_ns, int(spot.timestamp)) for recv_ns, spot in moving if spot.HasField("timestamp")]
    reading = read_clock(samples)
    if reading is None:
        why = "the spots carry no time that can be read" if moving else "no price moved"
        findings.check("clock", "unknown", f"{why}; the offset of the local clock is not known")
        findings.seen("spot_timestamp_unit", None, why)
        return
    ahead = "behind" if reading.least_s < 0 else "ahead of"
    text = (
        f"the local clock is at most {abs(reading.least_s):.3f} s {ahead} the venue's "
        f"(median {reading.median_s:.3f} s of {reading.sample_count} spots)"
    )
    too_far = abs(reading.least_s) > LARGEST_OFFSET_S
    advice = "; set the clock, or switch its synchronisation on" if too_far else ""
    findings.check("clock", "warn" if too_far else "ok", text + advice, round(reading.least_s, 6))
    findings.seen("spot_timestamp_unit", reading.unit, f"spot times are in {reading.unit} since 1970")


# -- the form of depth, measured ---------------------------------------------------------------------------------------


def measure_depth(facts: Facts) -> Script[None]:
    """Say in which form depth comes, and whether ids survive a new subscription."""
    heard_of = []
    for spec in facts.specs:
        stream = facts.stream(spec.symbol_id)
        if stream.depth:
            _tell_form(facts, spec, form_of(stream.depth, stream.spots), max(facts.listened_s, 1e-9))
            heard_of.append(spec)
        else:
            facts.findings.seen(f"depth.{spec.name}", None, "no depth came: its form was not seen")
    if heard_of:
        yield from _measure_resubscription(facts, heard_of)


def _tell_form(facts: Facts, spec: SymbolSpec, form: DepthForm, seconds: float) -> None:
    seen, of = facts.findings.seen, f"depth.{spec.name}"
    bids, asks = form.first_sizes
    verdict = {True: "a whole book, by what followed", False: "not a whole book", None: "nothing followed to tell"}
    text = f"{bids} bids, {asks} asks, {form.first_deletes} deletions: {verdict[form.looks_like_snapshot]}"
    if form.unknown_deletes:
        text += f"; {form.unknown_deletes} ids were deleted later that were never told"
    seen(f"{of}.first_event_is_snapshot", form.looks_like_snapshot, text)
    changes = {"same_id": form.same_id_resized, "new_id": form.replaced_by_new_id, "repriced": form.same_id_repriced}
    text = (
        f"{changes['same_id']} under the same id, {changes['new_id']} as a deletion and a new id, "
        f"{changes['repriced']} ids moved to another price"
    )
    seen(f"{of}.size_changes", changes, text)
    seen(f"{of}.id_in_both_lists", form.in_both_lists, f"{form.in_both_lists} ids both new and deleted in one event")
    seen(f"{of}.levels", form.most_levels, f"at most {form.most_levels} prices on a side")
    rate = round(form.event_count / seconds, 2)
    seen(f"{of}.events_per_s", rate, f"{form.event_count} events in {seconds:.0f} s")
    seen(f"{of}.crossed", form.crossed, f"{form.crossed} events left bid >= ask, {form.one_sided} left a side empty")
    agreement = form.spot_agreement()
    if agreement is None:
        seen(f"{of}.top_equals_spot_frac", None, "no moment at which both were known")
    else:
        equal, distance = agreement
        text = f"equal at {equal:.0%} of moments, median distance {distance:g} (1/100000)"
        seen(f"{of}.top_equals_spot_frac", round(equal, 4), text)


def _measure_resubscription(facts: Facts, specs: list[SymbolSpec]) -> Script[None]:
    """End the depth of symbols, begin it again, and compare the ids."""
    facts.on_progress("subscribing to depth again")
    symbol_ids = [spec.symbol_id for spec in specs]
    (ended,) = yield [facts.ask("UnsubscribeDepthQuotes", symbolId=symbol_ids)]
    facts.hear((yield Listen(0)))
    counts = [len(facts.stream(symbol_id).depth) for symbol_id in symbol_ids]
    (begun,) = yield [facts.ask("SubscribeDepthQuotes", symbolId=symbol_ids)]
    facts.hear((yield Listen(RESUBSCRIBED_S)))
    refused = [reply for reply in (ended, begun) if isinstance(reply, EnquiryRefused)]
    for spec, count in zip(specs, counts, strict=True):
        name, depth = f"depth.{spec.name}.ids_after_resubscription", facts.stream(spec.symbol_id).depth
        before, fresh = form_of(depth[:count]), form_of(depth[count:])
        if refused:
            facts.findings.seen(name, None, f"not seen: {refused[0]}")
        elif not fresh.event_count:
            facts.findings.seen(name, None, "nothing came after the new subscription")
        else:
            kept = len(fresh.ids & before.quotes.keys())
            other = len((fresh.ids & before.ids) - before.quotes.keys())
            text = f"{kept} of {len(fresh.ids)} ids stood before, {other} were used before for something gone"
            facts.findings.seen(name, "kept" if kept else "reused" if other else "new", text)
