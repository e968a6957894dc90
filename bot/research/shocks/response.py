"""What a run made of each shock: how high the crisis level went and how soon, what was held, what it cost."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from bot.research.backtest.result import Result
from bot.research.metrics.arm_run import SECOND_NS
from bot.research.metrics.detection import detection_of
from bot.research.shocks.shock import Shock, spans

AFTER_S = 60.0


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to one shock, up to a minute after it.

    Units: `delay_s` until the level was above 0, from the begin; leverage gross, in equities, `leverage_at_end` at the
        last moment of the shock (of a gap: when it comes); `equity_change` deposit currency. Missing: NaN where
        the level stayed 0, or nothing was known, as while no connection is there.
    """

    name: str
    at_ns: int
    level_before: int
    highest_level: int
    delay_s: float
    leverage_before: float
    leverage_at_end: float
    leverage_after: float
    equity_change: float
    fills: int


def responses(result: Result, shocks: Iterable[Shock]) -> list[Response]:
    """Return the response to each shock that the run has rows in, in order of time."""
    ordered = sorted(shocks, key=lambda shock: shock.at_ns)
    run, time_ns, found = result.arm_run(), result.clocks["time_ns"], []
    for shock, span in zip(ordered, spans(ordered), strict=True):
        place = result.symbols.index(shock.symbol)
        detection = detection_of(run, [span], symbol=place, grace_s=AFTER_S)
        begin, end = np.searchsorted(time_ns, [span.from_ns, span.to_ns + round(AFTER_S * SECOND_NS)])
        if not detection.found or begin == end:
            continue
        before, last, seen = max(int(begin) - 1, 0), int(end) - 1, detection.found[0]
        level, fill_ns = result.clocks["crisis_level"][:, place], result.fills["time_ns"]
        found.append(
            Response(
                shock.name,
                shock.at_ns,
                int(level[before]),
                int(level[begin:end].max()),
                seen.delay_s,
                seen.leverage_before,
                seen.leverage_at_peak,
                abs(float(result.clocks["leverage"][last, place])),
                float(result.clocks["equity"][last] - result.clocks["equity"][before]),
                int(((fill_ns >= span.from_ns) & (fill_ns < span.to_ns + AFTER_S * SECOND_NS)).sum()),
            )
        )
    return found
