"""What the venue remembers of its own prices: one-minute bars and ticks since it started, bounded in memory."""

from collections import deque
from collections.abc import Iterator
from typing import Any

from bot.ctrader.schema import enum, message

_MINUTE_NS = 60_000_000_000
_PERIOD_MINUTES = {
    "M1": 1, "M2": 2, "M3": 3, "M4": 4, "M5": 5, "M10": 10, "M15": 15, "M30": 30,
    "H1": 60, "H4": 240, "H12": 720, "D1": 1_440, "W1": 10_080, "MN1": 43_200,
}  # fmt: skip
MAX_BARS, MAX_TICKS = 14 * 1_440, 20_000
Bar = list[int]  # minute, open, high, low, close (1/100000), ticks


class PriceHistory:
    """Bid bars and both sides' ticks of one symbol; the oldest are forgotten first. A month counts 30 days."""

    def __init__(self) -> None:
        self._bars: deque[Bar] = deque(maxlen=MAX_BARS)
        self._ticks: dict[str, deque[tuple[int, int]]] = {
            "BID": deque(maxlen=MAX_TICKS),
            "ASK": deque(maxlen=MAX_TICKS),
        }

    def note(self, time_ns: int, bid_e5: int | None, ask_e5: int | None) -> None:
        """Take in the sides of a spot change."""
        if ask_e5 is not None:
            self._ticks["ASK"].append((time_ns // 1_000_000, ask_e5))
        if bid_e5 is None:
            return
        self._ticks["BID"].append((time_ns // 1_000_000, bid_e5))
        minute = time_ns // _MINUTE_NS
        if not self._bars or self._bars[-1][0] != minute:
            self._bars.append([minute, bid_e5, bid_e5, bid_e5, bid_e5, 1])
            return
        bar = self._bars[-1]
        bar[2], bar[3], bar[4] = max(bar[2], bid_e5), min(bar[3], bid_e5), bid_e5
        bar[5] += 1

    def bars(self, period: int, from_ms: int, to_ms: int, count: int | None) -> list[Any]:
        """Return ProtoOATrendbar messages that open within the bounds, oldest first; the last `count` of them."""
        minutes = minutes_of(period)
        joined: list[Bar] = []
        for minute, first, high, low, last, ticks in self._bars:
            opened = minute - minute % minutes
            if not joined or joined[-1][0] != opened:
                joined.append([opened, first, high, low, last, ticks])
            else:
                bar = joined[-1]
                bar[2], bar[3], bar[4] = max(bar[2], high), min(bar[3], low), last
                bar[5] += ticks
        wanted = [bar for bar in joined if from_ms <= bar[0] * 60_000 <= to_ms]
        return [
            bar_message(bar, period) for bar in (wanted if count is None else wanted[max(0, len(wanted) - count) :])
        ]

    def current_bar(self, period: int) -> Any | None:
        """Return the bar of now; None before the first price."""
        minutes = minutes_of(period)
        if not self._bars:
            return None
        opened = self._bars[-1][0] - self._bars[-1][0] % minutes
        recent: list[Bar] = []
        for bar in reversed(self._bars):
            if bar[0] < opened:
                break
            recent.append(bar)
        return bar_message(
            [opened, recent[-1][1], max(b[2] for b in recent), min(b[3] for b in recent), recent[0][4],
             sum(b[5] for b in recent)],
            period,
        )  # fmt: skip

    def newest_first(self, side: str, from_ms: int, to_ms: int) -> Iterator[tuple[int, int]]:
        """Yield (ms since the epoch, price in 1/100000) of a side's ticks within the bounds, both of them included."""
        for time_ms, price_e5 in reversed(self._ticks[side]):
            if from_ms <= time_ms <= to_ms:
                yield time_ms, price_e5

    def first_price_e5(self) -> int | None:
        """Return the oldest price that is remembered; None before the first."""
        for ticks in self._ticks.values():
            if ticks:
                return ticks[0][1]
        return None


def minutes_of(period: int) -> int:
    """Return the length of a trendbar period in minutes."""
    return next(_PERIOD_MINUTES[name] for name, number in enum("ProtoOATrendbarPeriod").items() if number == period)


def bar_message(bar: Bar, period: int) -> Any:
    """Return a ProtoOATrendbar: low absolute, the other prices as distances above it."""
    minute, first, high, low, last, ticks = bar
    return message("ProtoOATrendbar")(
        volume=ticks,
        period=period,
        low=low,
        deltaOpen=first - low,
        deltaClose=last - low,
        deltaHigh=high - low,
        utcTimestampInMinutes=minute,
    )
