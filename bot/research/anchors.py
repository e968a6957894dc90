"""The anchors: figures that a study outside this project found in the recordings, measured anew by our own code.

How it works: an `Anchor` states one figure; `GROUPS` holds, for each set of recordings, the function that measures all
its figures. A tolerance is never wider than the claim: 0.02 for an R2, an AUC or a correlation, as the study states,
and for the rest 0.02 or the last digit in which the figure was given.
A figure that does not come out says so in `departs`, with what stands in the way.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bot.research.anchor_groups import crypto_figures, equity_figures, fx_figures, liquidity_figures, venue_figures

Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Anchor:
    """One figure of models section 16 (or 10, 11), and how near to it a measurement has to come.

    `departs` says why a measurement misses it; empty: it must not.
    """

    group: str
    figure: str
    expected: float
    tolerance: float
    departs: str = ""

    @property
    def name(self) -> str:
        """Group and figure, unique."""
        return f"{self.group}: {self.figure}"

    def is_met(self, measured: float) -> bool:
        """Return whether a measurement is within the tolerance; NaN is not."""
        return abs(measured - self.expected) <= self.tolerance


GROUPS: Mapping[str, Callable[[Path], Figures]] = {
    "BAC": lambda folder: equity_figures(folder, "BAC"),
    "IBM": lambda folder: equity_figures(folder, "IBM"),
    "coin-m BTCUSD_PERP": lambda folder: crypto_figures(folder, "coinm_BTCUSD_PERP"),
    "spot BTCUSDT": lambda folder: crypto_figures(folder, "spot_BTCUSDT"),
    "usd-m BTCUSDT": lambda folder: crypto_figures(folder, "usdm_BTCUSDT"),
    "Oanda EURUSD": lambda folder: fx_figures(folder, "oanda_EURUSD"),
    "Oanda NZDUSD": lambda folder: fx_figures(folder, "oanda_NZDUSD"),
    "Oanda XAUUSD": lambda folder: fx_figures(folder, "oanda_XAUUSD"),
    "FX set": venue_figures,
    "Oanda EURUSD, liquidity": lambda folder: liquidity_figures(folder, "oanda_EURUSD"),
    "Oanda NZDUSD, liquidity": lambda folder: liquidity_figures(folder, "oanda_NZDUSD"),
    "Oanda XAUUSD, liquidity": lambda folder: liquidity_figures(folder, "oanda_XAUUSD"),
}


# The study says neither how it weighs spreads within a minute nor how its base comes about in seven days. With the base
# of models 11 both other recordings come out in every row; of EURUSD no definition that was tried meets these.
_BASE = "no definition tried meets EURUSD's four rows, in which a hundred minutes are two fifths of the variance"
_DEPARTING = {
    "Oanda EURUSD, liquidity": (
        "ln LR, acf 1 min",
        "ln LR, acf 15 min",
        "ln LR, acf 60 min",
        "next 5 min excess spread, R2 on ln LR",
    ),
}


def _rows(groups: tuple[str, ...], figure: str, expected: tuple[float, ...], tolerance: float = 0.02) -> list[Anchor]:
    return [
        Anchor(group, figure, wanted, tolerance, _BASE if figure in _DEPARTING.get(group, ()) else "")
        for group, wanted in zip(groups, expected, strict=True)
    ]


_EQUITIES = ("BAC", "IBM")
_CRYPTO = ("coin-m BTCUSD_PERP", "spot BTCUSDT", "usd-m BTCUSDT")
_LIQUIDITY = ("Oanda EURUSD, liquidity", "Oanda NZDUSD, liquidity", "Oanda XAUUSD, liquidity")

ANCHORS: tuple[Anchor, ...] = (
    *_rows(_EQUITIES, "OFI R2 10 s, mean of 36 half hours", (0.697, 0.664)),
    *_rows(("BAC",), "OFI R2 10 s, median", (0.697,)),
    *_rows(_EQUITIES, "OFI R2 10 s, least", (0.48, 0.33)),
    *_rows(_EQUITIES, "OFI R2 10 s, greatest", (0.86, 0.80)),
    *_rows(_EQUITIES, "trade imbalance R2 10 s, mean", (0.197, 0.197)),
    *_rows(_EQUITIES, "ln slope on ln depth", (-0.66, -0.93)),
    *_rows(_EQUITIES, "ln slope and ln depth, correlation", (-0.67, -0.63)),
    *_rows(_EQUITIES, "spread, ticks", (1.0, 4.5)),
    *_rows(_EQUITIES, "next-move AUC, 7 October", (0.789, 0.646)),
    *_rows(_EQUITIES, "next-move AUC, 8 October", (0.713, 0.626)),
    *_rows(_EQUITIES, "next-move AUC, 9 October", (0.732, 0.610)),
    *_rows(_CRYPTO, "OFI R2 1 s", (0.593, 0.524, 0.394)),
    *_rows(_CRYPTO, "OFI R2 10 s", (0.671, 0.640, 0.336)),
    *_rows(_CRYPTO, "trade imbalance R2 1 s", (0.119, 0.328, 0.409)),
    *_rows(_CRYPTO, "5 levels, adjusted R2 1 s", (0.577, 0.460, 0.432)),
    *_rows(_CRYPTO, "10 levels, adjusted R2 1 s", (0.601, 0.508, 0.482)),
    *_rows(_CRYPTO, "1 level, half-split R2", (0.591, 0.615, 0.385)),
    *_rows(_CRYPTO, "10 levels, ridge, half-split R2", (0.617, 0.670, 0.189)),
    *_rows(_CRYPTO, "next-move AUC, all quotes", (0.780, 0.849, 0.751)),
    *_rows(_CRYPTO, "OBI 1 level, AUC 1 s ahead", (0.799, 0.860, 0.780)),
    *_rows(_CRYPTO, "OBI 20 levels, AUC 1 s ahead", (0.729, 0.839, 0.732)),
    *_rows(_CRYPTO, "forgotten slope, one-step R2", (0.589, 0.494, 0.335)),
    *_rows(_CRYPTO, "expanding slope, one-step R2", (0.570, 0.501, 0.347)),
    # The study gives the ends of the ranges over the three recordings.
    *_rows(("coin-m BTCUSD_PERP", "usd-m BTCUSDT"), "OBI edge 1 s, bps", (0.48, 0.41), 0.01),
    *_rows(("coin-m BTCUSD_PERP", "usd-m BTCUSDT"), "OBI edge 10 s, bps", (1.06, 0.43), 0.01),
    *_rows(("spot BTCUSDT", "usd-m BTCUSDT"), "half-spread, bps", (0.002, 0.010), 0.001),
    *_rows(("Oanda EURUSD",), "spread 09h, bps", (0.76,)),
    *_rows(("Oanda NZDUSD",), "spread, narrowest hour, bps", (2.4,), 0.05),
    *_rows(("Oanda XAUUSD",), "spread, narrowest hour, bps", (2.0,), 0.05),
    *_rows(("Oanda EURUSD",), "spread 21h, bps", (1.51,)),
    *_rows(("Oanda NZDUSD", "Oanda XAUUSD"), "spread 21h, bps", (6.1, 12.6), 0.05),
    *_rows(("Oanda EURUSD",), "spread 21:00-21:02, bps", (6.0,), 0.05),
    *_rows(("Oanda EURUSD",), "spread around 21:00, greatest, bps", (9.5,), 0.05),
    *_rows(("Oanda NZDUSD",), "spread around 21:00, greatest, bps", (29.4,), 0.05),
    *_rows(("FX set",), "BV/RV 1 min, least", (0.72,)),
    *_rows(("FX set",), "BV/RV 1 min, greatest", (0.86,)),
    *_rows(("FX set",), "EURUSD, FXCM and Oanda 1 s", (0.883,)),
    *_rows(("FX set",), "EURUSD, FXCM a second ahead", (0.102,)),
    *_rows(("FX set",), "EURUSD, FXCM a second behind", (0.041,)),
    *_rows(_LIQUIDITY, "ln LR, acf 1 min", (0.81, 0.86, 0.83)),
    *_rows(_LIQUIDITY, "ln LR, acf 5 min", (0.59, 0.68, 0.60)),
    *_rows(_LIQUIDITY, "ln LR, acf 15 min", (0.36, 0.57, 0.46)),
    *_rows(_LIQUIDITY, "ln LR, acf 60 min", (0.21, 0.43, 0.24)),
    *_rows(_LIQUIDITY, "next 5 min excess spread, R2 on ln LR", (0.64, 0.70, 0.62)),
    *_rows(_LIQUIDITY, "next 5 min excess spread, R2 on ln vol", (0.11, 0.00, 0.05)),
    *_rows(_LIQUIDITY, "next 5 min vol, R2 on ln vol", (0.46, 0.12, 0.29)),
    *_rows(_LIQUIDITY, "next 5 min vol, R2 on ln LR", (0.06, 0.00, 0.02)),
)


def measured(folder: Path) -> Iterator[tuple[str, Figures]]:
    """Yield each group with its figures, measured from the recordings in a folder.

    Raises: ValueError naming the file when a recording is missing.
    """
    for group, measure in GROUPS.items():
        yield group, measure(folder)
