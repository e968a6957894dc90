"""Options that several commands share."""

import math

import typer

MARKET_HELP = (
    "synthetic[:SCENARIO] or a .parquet recording. SCENARIO is calm; thin (wide spreads, little depth); trending (a "
    "drift of prices, more depth behind it); flash-crash (after 12 s and every minute bids vanish and prices fall); "
    "rollover (after 12 s and every 45 s, as at 17:00 in New York)."
)


def duration(seconds: float | None) -> float | None:
    """Return a number of seconds as given.

    Raises: typer.BadParameter for what is no length of time (`nan`, `inf`); the lower bound is typer's own.
    """
    if seconds is not None and not math.isfinite(seconds):
        raise typer.BadParameter("must be a number of seconds")
    return seconds
