"""The evaluator's present features as a feature table, for strategies that read one.

Only for as long as the evaluator does not keep the table itself: what it does not compute stays unknown.
"""

import numpy as np

from bot.market.evaluator import Features
from bot.market.feature_table import FIELDS, unknown_features

_NAMES = tuple(name for name, _ in FIELDS if name in Features._fields)


def feature_table(features: Features) -> np.ndarray:
    """Return a table of `FEATURES` with the fields that both know. Shapes: (S,)."""
    table = unknown_features(len(features.mid))
    for name in _NAMES:
        table[name] = getattr(features, name)
    return table
