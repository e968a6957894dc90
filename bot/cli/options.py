"""Options that several commands share."""

import math

import typer


def duration(seconds: float | None) -> float | None:
    """Return a number of seconds as given.

    Raises: typer.BadParameter for what is no length of time (`nan`, `inf`); the lower bound is typer's own.
    """
    if seconds is not None and not math.isfinite(seconds):
        raise typer.BadParameter("must be a number of seconds")
    return seconds
