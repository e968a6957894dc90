"""The broker's day as a span of time: from 17:00 in New York on the day before to 17:00."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from bot.account.loss import trading_day

_NEW_YORK = ZoneInfo("America/New_York")
_SECOND = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def day_of(ns: int) -> date:
    """Return the broker day of a moment, UTC nanoseconds."""
    return date.fromordinal(trading_day(ns))


def start_ns(day: date) -> int:
    """Return when a broker day begins, UTC nanoseconds; it ends where the next one begins. Always a full hour."""
    begins = datetime.combine(day - timedelta(days=1), time(17), _NEW_YORK)
    return (begins - _EPOCH) // timedelta(seconds=1) * _SECOND
