"""The plan of faults of a virtual week: what goes wrong and when, drawn from a seed before anything runs."""

from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from wired_bot import SECOND

from bot.net.fault_script import load_faults, parse_script
from bot.sim.faults.script import Fault, FaultScript, When, name_of

_HOUR_S = 3_600
_RANDOM_WEEK = Path(__file__).parents[1] / "config" / "faults" / "random_week.yaml"

DROPS = """
random:
  per_hour: 3
  faults:
    - drop:
    - drop: {abort: true}
    - {on_request: [ProtoOANewOrderReq, ProtoOAClosePositionReq], drop: {when: before}}
    - {on_request: [ProtoOANewOrderReq, ProtoOAClosePositionReq], drop: {when: after_execution}}
    - {on_request: [ProtoOANewOrderReq, ProtoOAClosePositionReq], drop: {when: after_reply, abort: true}}
    - {on_request: [ProtoOAApplicationAuthReq, ProtoOAAccountAuthReq], drop: {when: before, abort: true}}
    - {on_request: [ProtoOATraderReq, ProtoOASymbolByIdReq, ProtoOAReconcileReq], drop: {when: after_execution}}
    - {on_request: [ProtoOASubscribeSpotsReq, ProtoOASubscribeDepthQuotesReq], drop: {when: after_reply}}
    - {on_request: [ProtoOAOrderListReq, ProtoOADealListReq], drop: {when: before}}
    - {on_event: ProtoOAExecutionEvent, drop: {when: before}}
    - {on_event: [ProtoOASpotEvent, ProtoOADepthEvent], drop: {when: after_reply, abort: true}}
"""
"""Connections that break; `cut` faults of the link, in the middle of a frame, are added by the plan."""

OTHERS = """
random:
  per_hour: 3
  faults:
    - {for: 20s, latency: {inbound: 150ms, outbound: 250ms, jitter: 100ms}}
    - {for: 30s, split: {size_bytes: 7, gap: 2ms}}
    - {for: 30s, merge: {window: 400ms}}
    - {for: 75s, silence: {fate: lost}}
    - {for: 20s, silence: {direction: outbound, fate: late}}
    - {for: 15s, silence: {direction: inbound, fate: lost}}
    - {on_event: [ProtoOASpotEvent, ProtoOADepthEvent], duplicate: {gap: 300ms}}
    - {on_event: [ProtoOASpotEvent, ProtoOADepthEvent], reorder: }
    - {on_event: ProtoOAExecutionEvent, kind: ORDER_FILLED, duplicate: {gap: 40s}}
    - {on_event: ProtoOAExecutionEvent, reorder: }
    - {on_event: ProtoOAExecutionEvent, late: {by: 15s}}
    - {on_event: ProtoOAExecutionEvent, lose_event: }
    - {on_event: ProtoOADepthEvent, lose_event: }
    - {on_event: ProtoOASpotEvent, lose_event: }
    - {on_request: ProtoOANewOrderReq, reject: {shape: error_res, code: TIMEOUT_ERROR}}
    - {on_request: ProtoOANewOrderReq, reject: {shape: common, code: SOMETHING_NEW}}
    - {on_request: ProtoOANewOrderReq, reject: {shape: execution, code: MAX_EXPOSURE_REACHED}}
    - {on_request: ProtoOAClosePositionReq, reject: {shape: order_error, code: POSITION_LOCKED}}
    - {on_request: ProtoOANewOrderReq, reject: {shape: order_error, code: MARKET_CLOSED}}
    - {on_request: ProtoOAReconcileReq, reject: {shape: error_res, code: CH_SERVER_NOT_REACHABLE}}
    - {on_request: ProtoOAAccountAuthReq, reject: {shape: error_res, code: CANT_ROUTE_REQUEST}}
    - {on_request: [ProtoOANewOrderReq, ProtoOAClosePositionReq], no_reply: {request: ignored}}
    - {on_request: ProtoOAClosePositionReq, no_reply: {request: executed}}
    - {on_request: [ProtoOAReconcileReq, ProtoOASubscribeSpotsReq], no_reply: {request: ignored}}
    - {on_request: [ProtoOAOrderListReq, ProtoOADealListReq], no_reply: {request: executed}}
    - {on_request: [ProtoOANewOrderReq, ProtoOAClosePositionReq], partial_fill: {fraction: 0.4, rest: filled}}
    - {client_disconnect: {reason: please connect again}}
    - {expire_token: {code: OA_AUTH_TOKEN_EXPIRED}}
    - {expire_token: {code: CH_ACCESS_TOKEN_INVALID}}
    - on_request: ProtoOANewOrderReq
      block: {requests: [ProtoOANewOrderReq, ProtoOAClosePositionReq], retry_after: 20s}
    - on_request: ProtoOAReconcileReq
      block: {requests: [ProtoOAReconcileReq, ProtoOASubscribeSpotsReq], retry_after: 10s}
    - on_request: ProtoOANewOrderReq
      block: {requests: ProtoOANewOrderReq, retry_after: 4s, tells_retry_after: false, extends: true}
    - on_request: ProtoOAApplicationAuthReq
      for: 60s
      rate: {requests_per_s: 10, historical_per_s: 1, block_after: 3, block_window: 10s, block_for: 5s}
    - {for: 90s, maintenance: {shape: common, connections: refused}}
    - {for: 20s, not_routable: }
    - {for: 20s, server_unreachable: }
    - {symbol: EURUSD, manual_trade: {action: open, side: buy}}
    - {symbol: USDJPY, manual_trade: {action: open, side: buy}}
    - {symbol: GBPUSD, manual_trade: {action: open, side: sell}}
    - {symbol: EURUSD, manual_trade: {action: close}}
    - {symbol: BTCUSD, manual_trade: {action: close}}
    - manual_trade: {action: close_all}
    - manual_trade: {action: close_all}
    - {deposit: {amount: 5000.25}}
    - {withdraw: {amount: 5000.25}}
    - {leverage_change: {ratio: 100}}
    - {leverage_change: {ratio: 500}}
    - {margin_change: {factor: 3}}
    - {margin_change: {factor: 1}}
    - {symbol: EURUSD, margin_change: {factor: 2, tiers: true}}
    - {symbol: EURUSD, margin_change: {factor: 0.5, tiers: true}}
    - {for: 60s, access_rights: {rights: CLOSE_ONLY}}
    - {for: 60s, access_rights: {rights: NO_TRADING}}
    - {symbol: USDJPY, symbol_change: {min_volume_cents: 500000, step_volume_cents: 500000}}
    - {symbol: USDJPY, symbol_change: {min_volume_cents: 100000, step_volume_cents: 100000}}
    - {for: 60s, symbol: BTCUSD, trading_mode: {mode: CLOSE_ONLY_MODE}}
    - {for: 60s, symbol: EURUSD, close_market: }
    - {for: 20s, symbol: BTCUSD, crossed_book: }
    - {for: 30s, symbol: EURUSD, empty_book: {side: bid}}
    - {for: 30s, symbol: USDJPY, empty_book: {side: ask}}
    - {for: 90s, symbol: BTCUSD, stop_quotes: }
"""
"""Everything else that can go wrong and leaves a run alive."""

WEEKEND = """
faults:
  - {at: 4d, for: 3h, maintenance: {shape: error_res, connections: accepted}}
  - {at: 2d, symbol: USDJPY, holiday: {start_s: 3600, end_s: 7200}}
"""
"""Planned once: a maintenance on the weekend, an hour's holiday."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One fault of the plan; `cut` is "read" or "write" for a delivery that ends in the middle, else ""."""

    at_s: float
    fault: Fault | None
    cut: str = ""

    def line(self) -> str:
        """Return it as one line that says when and what."""
        what = f"cut {self.cut}" if self.fault is None else f"{name_of(self.fault.what)} {self.fault}"
        return f"{self.at_s:.3f} s: {what}"


def plan_faults(seed: int, until_s: float, drops_per_hour: float, others_per_hour: float) -> list[Planned]:
    """Return the faults of a week in the order of time: two Poisson processes, one of drops and one of the rest."""
    chance = Random(f"{seed}/plan")
    drops: list[Fault | None] = [*_drawn(parse_script(DROPS, "drops")), None, None]
    others: list[Fault | None] = [*_drawn(parse_script(OTHERS, "others")), *_drawn(load_faults(_RANDOM_WEEK))]
    planned = []
    for kinds, per_hour in ((drops, drops_per_hour), (others, others_per_hour)):
        at_s = 0.0
        deck: list[Fault | None] = []
        while (at_s := at_s + chance.expovariate(per_hour / _HOUR_S)) < until_s:
            if not deck:  # dealt like cards, so that no kind is left out
                deck = chance.sample(kinds, len(kinds))
            fault = deck.pop()
            planned.append(Planned(at_s, fault, "" if fault is not None else chance.choice(["read", "write"])))
    for fault in parse_script(WEEKEND, "weekend").faults:
        assert fault.when.at_ns is not None
        if fault.when.at_ns / SECOND < until_s:
            planned.append(Planned(fault.when.at_ns / SECOND, replace(fault, when=When())))
    return sorted(planned, key=lambda entry: entry.at_s)


def _drawn(script: FaultScript) -> tuple[Fault, ...]:
    assert script.random is not None
    return script.random.faults
