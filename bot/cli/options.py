"""Options that several commands share."""

import math
from typing import Any

import typer
from typer.core import TyperCommand

MARKET_HELP = (
    "synthetic[:SCENARIO], a .parquet recording, or a folder of downloaded days. SCENARIO is calm; thin (wide spreads, "
    "little depth); trending (a drift of prices, more depth behind it); flash-crash (after 12 s and every minute bids "
    "vanish and prices fall); rollover (after 12 s and every 45 s, as at 17:00 in New York)."
)

DATA_HELP = (
    "synthetic[:SCENARIO], a .parquet recording, a folder of downloaded days, or a recorded run; one for each symbol, "
    "and for a pair that only converts money. May be repeated."
)


def moment_ms(text: str, option: str) -> int:
    """Return a date or an ISO 8601 time as ms since the epoch; UTC where it names no zone.

    Raises: typer.BadParameter.
    """
    from datetime import UTC, datetime

    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return round(moment.timestamp() * 1_000)
    except (ValueError, OverflowError):
        example = "2026-01-01, or a time such as 2026-01-01T08:30"
        raise typer.BadParameter(f"{text!r} is no date such as {example}", param_hint=option) from None


def duration(seconds: float | None) -> float | None:
    """Return a number of seconds as given.

    Raises: typer.BadParameter for what is no length of time (`nan`, `inf`); the lower bound is typer's own.
    """
    if seconds is not None and not math.isfinite(seconds):
        raise typer.BadParameter("must be a number of seconds")
    return seconds


class DayMayStandAlone(TyperCommand):
    """A command whose `--day` takes a date or nothing: then it means today."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words of the command line; what follows `--day` is its date unless it is a flag or a file."""
        given = []
        for word, after in zip(args, [*args[1:], "-"], strict=False):
            is_alone = after.startswith("-") or after.endswith((".yaml", ".yml"))
            given.append("--day=today" if word == "--day" and is_alone else word)
        return super().parse_args(ctx, given)
