"""Results as what JSON can hold."""

import math
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np


def plain(result: Any) -> Any:
    """Return dictionaries, lists, texts and numbers for a result of this package: NaN and infinity become None."""
    if is_dataclass(result) and not isinstance(result, type):
        return {each.name: plain(getattr(result, each.name)) for each in fields(result)}
    if isinstance(result, dict):
        return {str(key): plain(each) for key, each in result.items()}
    if isinstance(result, np.ndarray | np.generic):
        return plain(result.tolist())
    if isinstance(result, list | tuple):
        return [plain(each) for each in result]
    if isinstance(result, float) and not math.isfinite(result):
        return None
    return result
