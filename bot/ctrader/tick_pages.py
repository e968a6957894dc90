"""One side's ticks of a period, page by page: what to ask next, and what an answer means.

How it works: a venue answers with the newest ticks of what was asked and says whether there are more. The next
question ends at the oldest tick that came, that millisecond included, because the page may have been cut within it:
whichever answer has more ticks of that millisecond counts. So it does not matter how long a page is, or whether the
venue takes the end of a period as part of it.
Source: ProtoOAGetTickDataReq {type, fromTimestamp, toTimestamp in ms}, ProtoOAGetTickDataRes {tickData, hasMore}.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

WEEK_MS = 604_800_000
"""Ticks this far outside of what was asked are not a venue's generosity: their times are misread."""

LEAST_SPAN_MS = 60_000
"""A period this short that the venue still takes for too long is not halved again."""


class Ticks(NamedTuple):
    """Ticks of one side, oldest first; those of one millisecond in their order.

    Shapes: both (N,) int64.   Units: ms since the epoch UTC; 1/100000.
    """

    times_ms: np.ndarray
    prices_e5: np.ndarray


class TicksUnreadable(ValueError):
    """An answer whose ticks make no sense; the text says what is wrong with it."""


def no_ticks() -> Ticks:
    """Return no ticks at all."""
    return Ticks(np.empty(0, np.int64), np.empty(0, np.int64))


def price_form(prices: Sequence[int]) -> str | None:
    """Return `absolute` or `differences` for a list of two or more tick prices; None when it looks like neither.

    A market's price does not halve within a page, and does not change by half of itself either.
    """
    first, rest = prices[0], prices[1:]
    if all(first / 2 < price < first * 2 for price in rest):
        return "absolute"
    return "differences" if all(abs(price) < first / 2 for price in rest) else None


def read_page(tick_data: Iterable[Any]) -> Ticks:
    """Return the ticks of one answer, oldest first.

    The first time is absolute and the others are differences in turn. Prices are absolute or differences: only times
    are documented, so the page itself decides.
    Raises: TicksUnreadable for prices of neither form, or times that are not newest first.
    Source: ProtoOATickData {timestamp, tick}.
    """
    raw = np.array([(tick.timestamp, tick.tick) for tick in tick_data], np.int64).reshape(-1, 2)
    times_ms, prices_e5 = np.cumsum(raw[:, 0]), raw[:, 1]
    if len(raw) > 1:
        form = price_form(prices_e5.tolist())
        if form is None:
            why = f"tick prices are neither absolute nor differences: {', '.join(map(str, prices_e5[:4].tolist()))}, …"
            raise TicksUnreadable(why)
        if form == "differences":
            prices_e5 = np.cumsum(prices_e5)
        if np.any(np.diff(times_ms) > 0):
            at = int(np.argmax(np.diff(times_ms) > 0)) + 1
            raise TicksUnreadable(f"ticks do not come newest first: tick {at} is {raw[at, 0]} ms after the one before")
    if np.any(prices_e5 <= 0):
        raise TicksUnreadable(f"a tick has the price {int(prices_e5.min())} (1/100000)")
    return Ticks(times_ms[::-1].copy(), prices_e5[::-1].copy())


class TickPages:
    """The pages of one side of a period [`from_ms`, `to_ms`).

    `next_span_ms` is what to ask next, (from, to); None when everything has come.
    """

    def __init__(self, from_ms: int, to_ms: int) -> None:
        self._from_ms, self._to_ms = from_ms, to_ms
        self._earlier: list[tuple[int, int]] = []
        self._parts: list[Ticks] = []
        self._edge = no_ticks()
        self.next_span_ms: tuple[int, int] | None = (from_ms, to_ms)
        self.tick_count = 0

    @property
    def reached_ms(self) -> int:
        """The time down to which everything has come."""
        return self._from_ms if self.next_span_ms is None else min(self._to_ms, self.next_span_ms[1])

    def take(self, page: Ticks, *, has_more: bool) -> None:
        """Take the answer to `next_span_ms`; a tick beside what was asked is left out.

        Raises: TicksUnreadable for ticks from far outside of what was asked, or none although there are more.
        """
        if self.next_span_ms is None:
            raise ValueError("nothing was asked")
        start_ms, end_ms = self.next_span_ms
        times = page.times_ms
        if len(times) and (times[0] < start_ms - WEEK_MS or times[-1] > end_ms + WEEK_MS):
            why = f"asked for ticks of {start_ms} to {end_ms} ms and got {times[0]} to {times[-1]}"
            raise TicksUnreadable(why)
        if has_more and not len(times):
            raise TicksUnreadable(f"the venue says there are more ticks in {start_ms} to {end_ms} ms and sends none")
        page = _within(page, start_ms, min(end_ms + 1, self._to_ms))
        self._take_edge(page, end_ms)
        # A page of one millisecond alone cannot say what lies before it.
        to_ms = start_ms - 1
        if has_more:
            to_ms = int(times[0]) if times[0] < end_ms else end_ms - 1
        if to_ms >= start_ms:
            self.next_span_ms = (start_ms, to_ms)
        elif self._earlier:
            self.next_span_ms = self._earlier.pop()  # it begins with the edge, as every next page does
        else:
            self.next_span_ms = None
            self._keep(self._edge)

    def halve(self) -> bool:
        """Ask for the later half of what was refused as too long, then for the rest; False: it is short already."""
        if self.next_span_ms is None:
            return False
        start_ms, end_ms = self.next_span_ms
        if end_ms - start_ms <= LEAST_SPAN_MS:
            return False
        middle_ms = (start_ms + end_ms) // 2
        self._earlier.append((start_ms, middle_ms))
        self.next_span_ms = (middle_ms, end_ms)
        return True

    def ticks(self) -> Ticks:
        """Return every tick, oldest first."""
        parts = self._parts[::-1] or [no_ticks()]
        return Ticks(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    def _take_edge(self, page: Ticks, end_ms: int) -> None:
        """Keep a page but for its oldest millisecond, which the next one may complete."""
        again, edge = _within(page, end_ms, end_ms + 1), self._edge
        if len(edge.times_ms) and edge.times_ms[0] != end_ms:
            self._keep(edge)
        elif len(again.times_ms) < len(edge.times_ms):
            again = edge
        rest = _within(page, -1, end_ms)
        if not len(rest.times_ms):
            self._edge = again
            return
        self._keep(again)
        oldest_ms = int(rest.times_ms[0])
        self._keep(_within(rest, oldest_ms + 1, end_ms))
        self._edge = _within(rest, oldest_ms, oldest_ms + 1)

    def _keep(self, ticks: Ticks) -> None:
        if len(ticks.times_ms):
            self._parts.append(ticks)
            self.tick_count += len(ticks.times_ms)


def _within(ticks: Ticks, from_ms: int, to_ms: int) -> Ticks:
    first, last = np.searchsorted(ticks.times_ms, (from_ms, to_ms)).tolist()
    return Ticks(ticks.times_ms[first:last], ticks.prices_e5[first:last])
