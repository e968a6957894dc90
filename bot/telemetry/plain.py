"""Engine values as JSON can hold them: times as text, what is unknown as null."""

import math
from datetime import UTC, datetime
from typing import Any


def iso_time(ns: int) -> str:
    """Return ns since the epoch as ISO 8601 UTC with milliseconds and `Z`."""
    moment = datetime.fromtimestamp(ns // 1_000_000 / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def known(number: float) -> float | None:
    """Return a number that JSON can hold, or None for NaN and infinity."""
    return float(number) if math.isfinite(number) else None


def without_nan(content: Any) -> Any:
    """Return what JSON can hold of it: null for a number that is not finite, wherever it lies."""
    if isinstance(content, float):
        return known(content)
    if isinstance(content, dict):
        return {key: without_nan(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [without_nan(value) for value in content]
    return content
