"""Stop loss and take profit: how fine a relative one may be, and what becomes of a leg that an amendment leaves out.

Source: ProtoOANewOrderReq.relativeStopLoss (1/100000); ProtoOAAmendPositionSLTPReq.
"""

from typing import Any

from bot.ctrader.enquiry import EnquiryRefused, Script
from bot.doctor.facts import Facts
from bot.doctor.footprint import Footprint, attempt, close, new_order
from bot.doctor.free_symbol import coarse_symbol
from bot.doctor.trial import Refused, Trial
from bot.market.symbols import SymbolSpec

RELATIVE, OMITTED = "orders.relative_stop_precision", "orders.amend_position.omitted_leg"
FAR_FRAC = 0.05
"""How far from the market the protections are placed, as a fraction of the price: none is to be reached."""


def measure_omitted_leg(facts: Facts, spec: SymbolSpec, footprint: Footprint, position_id: int) -> Script[None]:
    """Give a long position both legs, amend it with the stop loss alone, and see what becomes of the take profit."""
    bid = (facts.stream(spec.symbol_id).bid_e5 or 0) / 1e5
    stop, profit = spec.round_price(bid * (1 - FAR_FRAC)), spec.round_price(bid * (1 + FAR_FRAC))
    legs: list[dict[str, float]] = [{"stopLoss": stop, "takeProfit": profit}, {"stopLoss": stop}]
    found: list[bool] = []
    for fields in legs:
        request = facts.ask("AmendPositionSLTP", positionId=position_id, **fields)
        try:
            trial = yield from attempt(facts, footprint, request, ends=False)
        except Refused as refused:
            facts.findings.seen(OMITTED, None, f"not seen: the amendment was refused: {refused}")
            return
        if not found:
            facts.findings.seen("orders.amend_position.events", trial.names, trial.sequence)
        held = yield from _position(facts, position_id)
        found.append(held is not None and held.HasField("takeProfit") and held.takeProfit > 0)
    if not found[0]:
        facts.findings.seen(OMITTED, None, "not seen: the position showed no take profit to lose")
        return
    said = "kept" if found[1] else "removed"
    facts.findings.seen(OMITTED, said, f"a take profit left out of an amendment of the position is {said}")


def measure_relative_precision(facts: Facts, footprint: Footprint) -> Script[None]:
    """Open the smallest position with a relative stop loss finer than the symbol's tick, and close it.

    Refused, it is tried once more with a distance on the tick: only then was it the precision that was refused.
    """
    (held,) = yield [facts.ask("Reconcile")]
    spec = None if isinstance(held, EnquiryRefused) else (yield from coarse_symbol(facts, held))
    if spec is None:
        text = "not tried: no symbol with fewer than 5 digits has prices, is open, and is free"
        facts.findings.seen(RELATIVE, None, text)
        return
    facts.on_progress(f"a relative stop loss on {spec.name}")
    whole = _distance_e5(facts, spec)
    refused = yield from _try_distance(facts, spec, footprint, whole + 1)
    if refused is None:
        return
    control = yield from _try_distance(facts, spec, footprint, whole, is_control=True)
    if control is not None:
        text = f"not seen: a relative stop loss is refused on {spec.name} with any distance: {control}"
        facts.findings.seen(RELATIVE, None, text)
        return
    tick, code = spec.tick_e5, refused.code
    text = f"{spec.name} ({spec.digits} digits): a distance that is no multiple of {tick} is refused ({code})"
    facts.findings.seen(RELATIVE, f"refused: {code}", f"{text}; {whole} is taken")


def _try_distance(
    facts: Facts, spec: SymbolSpec, footprint: Footprint, distance_e5: int, *, is_control: bool = False
) -> Script[Refused | None]:
    """Open and close a position with a relative stop loss; return the refusal, None when it was accepted."""
    order = new_order(facts, spec, footprint, "MARKET", "BUY", relativeStopLoss=distance_e5)
    try:
        opened: Trial = yield from attempt(facts, footprint, order, ends=True)
    except Refused as refused:
        return refused
    rejection = opened.rejection
    if rejection is not None:
        return Refused(rejection)
    if not is_control:
        yield from _tell_accepted(facts, spec, opened, distance_e5)
    for deal in opened.deals:
        yield from close(facts, footprint, deal.positionId, deal.filledVolume)
    return None


def _tell_accepted(facts: Facts, spec: SymbolSpec, opened: Trial, distance_e5: int) -> Script[None]:
    if not opened.deals:
        facts.findings.seen(RELATIVE, None, f"not seen: the order was not filled: {opened.sequence}")
        return
    deal = opened.deals[-1]
    held = yield from _position(facts, deal.positionId)
    has_stop = held is not None and held.HasField("stopLoss") and held.stopLoss > 0
    asked = deal.executionPrice - distance_e5 / 1e5
    said = (
        f"the stop loss asked for was {asked:.5f}, it stands at {held.stopLoss:.5f}" if has_stop else "no stop stands"
    )
    text = f"{spec.name} ({spec.digits} digits): {distance_e5}, no multiple of {spec.tick_e5}, is accepted; {said}"
    facts.findings.seen(RELATIVE, "accepted" if has_stop else "accepted, no stop", text)


def _distance_e5(facts: Facts, spec: SymbolSpec) -> int:
    bid_e5 = facts.stream(spec.symbol_id).bid_e5 or 0
    return round(bid_e5 * FAR_FRAC) // spec.tick_e5 * spec.tick_e5


def _position(facts: Facts, position_id: int) -> Script[Any]:
    (reply,) = yield [facts.ask("Reconcile")]
    if isinstance(reply, EnquiryRefused):
        return None
    return next((position for position in reply.position if position.positionId == position_id), None)
