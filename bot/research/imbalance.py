"""What book imbalance tells of the next move: how often it is right, and what being right is worth."""

import numpy as np

from bot.research.grid import standing_at
from bot.research.recordings import Ladders, Quotes
from bot.research.regression import area_under_curve


def next_move_auc(quotes: Quotes) -> float:
    """Return how well queue imbalance tells up from down for the next change of mid, each quote a case.

    Long intervals with many quotes weigh more than short ones; see `next_move_auc_by_interval`.
    Source: Gould and Bonart (2016).
    """
    mid = quotes.mid
    changes = np.flatnonzero(np.diff(mid)) + 1
    following = np.searchsorted(changes, np.arange(len(mid)), side="right")
    cases = following < len(changes)
    change = changes[following[cases]]
    return area_under_curve(quotes.imbalance[cases], mid[change] > mid[change - 1])


def next_move_auc_by_interval(quotes: Quotes, draws: int, seed: int) -> float:
    """Return the same with one case an interval between two changes of mid, at a time drawn uniformly from it.

    It is the mean of `draws` such samples: with some hundred intervals a single sample strays by 0.015 or more.
    Source: Gould and Bonart (2016), their sampling.
    """
    mid, imbalance = quotes.mid, quotes.imbalance
    changes = np.flatnonzero(np.diff(mid)) + 1
    starts, ends = changes[:-1], changes[1:]
    length_ns = quotes.time_ns[ends] - quotes.time_ns[starts]
    is_up = mid[ends] > mid[ends - 1]
    random = np.random.default_rng(seed)
    areas = []
    for _ in range(draws):
        drawn_ns = quotes.time_ns[starts] + random.random(len(starts)) * length_ns
        areas.append(area_under_curve(imbalance[standing_at(quotes.time_ns, drawn_ns.astype(np.int64))], is_up))
    return float(np.mean(areas))


def ladder_imbalance(ladders: Ladders, weights: np.ndarray) -> np.ndarray:
    """Return imbalance over weighted levels, (N,) in [-1, 1]; a level that is not there weighs nothing.

    Shapes: `weights` (K,), K <= 20, best level first.   Source: models 5.
    """
    count = len(weights)
    bids = np.nan_to_num(ladders.bid_size[:, :count]) @ weights
    asks = np.nan_to_num(ladders.ask_size[:, :count]) @ weights
    return np.asarray((bids - asks) / (bids + asks))


def ahead_auc(ladders: Ladders, weights: np.ndarray, horizon_ns: int) -> float:
    """Return how well imbalance tells up from down `horizon_ns` later, each message a case.

    Cases without a move are left out, so this is the chance given that something moves.
    """
    rows, move = _moves(ladders, horizon_ns)
    moved = move != 0
    return area_under_curve(ladder_imbalance(ladders, weights)[rows][moved], move[moved] > 0)


def edge_bps(ladders: Ladders, weights: np.ndarray, horizon_ns: int, threshold: float) -> float:
    """Return the mean move of mid in the direction of imbalances beyond `threshold`, in bps, before any cost.

    Compare it with `half_spread_bps` and a venue's fees before thinking of it as money.
    """
    rows, move = _moves(ladders, horizon_ns)
    imbalance = ladder_imbalance(ladders, weights)[rows]
    strong = np.abs(imbalance) > threshold
    relative = 1e4 * move / ladders.mid[rows]
    return float((np.sign(imbalance[strong]) * relative[strong]).mean())


def half_spread_bps(ladders: Ladders) -> float:
    """Return the mean half-spread in bps of mid: what crossing once costs at the touch."""
    return float((1e4 * (ladders.ask[:, 0] - ladders.bid[:, 0]) / 2 / ladders.mid).mean())


def _moves(ladders: Ladders, horizon_ns: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that have a future within the recording, and their move of mid."""
    later_ns = ladders.time_ns + horizon_ns
    rows = np.flatnonzero(later_ns <= ladders.time_ns[-1])
    mid = ladders.mid
    return rows, mid[standing_at(ladders.time_ns, later_ns[rows])] - mid[rows]
