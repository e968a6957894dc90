"""Order flow of many book events at once: the vectorised twin of `features.order_flow`."""

import numpy as np


def order_flows(bid: np.ndarray, bid_size: np.ndarray, ask: np.ndarray, ask_size: np.ndarray) -> np.ndarray:
    """Return the order flow e of each book event against the one before it.

    The columns of (N, L) arrays are levels, each with its own flow; the first of them is the flow at the best level.
    The first event has nothing before it: its flow is 0.

    Shapes: all (N,) or all (N, L), one row an event; result the same.
    Units: prices in quote currency; sizes and result in base units.
    Missing: a NaN price is an empty side (or a level that is not there): size 0, infinitely far away.
    Source: Cont, Kukanov, Stoikov (2014), e_n; Xu, Gould, Howison (2018) for the levels; models 6.1, 6.2.
    """
    bid, bid_size = _standing(bid, bid_size, -np.inf)
    ask, ask_size = _standing(ask, ask_size, np.inf)
    flows = np.zeros(bid.shape)
    flows[1:] = (
        np.where(bid[1:] >= bid[:-1], bid_size[1:], 0.0)
        - np.where(bid[1:] <= bid[:-1], bid_size[:-1], 0.0)
        - np.where(ask[1:] <= ask[:-1], ask_size[1:], 0.0)
        + np.where(ask[1:] >= ask[:-1], ask_size[:-1], 0.0)
    )
    return flows


def _standing(prices: np.ndarray, sizes: np.ndarray, nowhere: float) -> tuple[np.ndarray, np.ndarray]:
    missing = np.isnan(prices)
    return np.where(missing, nowhere, prices), np.where(missing, 0.0, sizes)
