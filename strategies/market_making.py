"""Market making: a bid and an ask around the weighted mid, skewed by what is held, within a leverage-made limit.

The inventory limit is base leverage x volatility factor x liquidity factor x impact factor, times equity. Prices are
measured in usual spreads, so that one set of parameters fits a currency pair and a coin: `gamma` is the risk aversion a
lot and spread, `k` says how fast fills grow rarer with each spread of distance, `intensity` how many there are a second
at no distance. On FX none of these can be measured but by own fills, so the defaults are priors, meant to be kept until
thousands of own fills say otherwise: at them an empty inventory is quoted about a spread away on each side, and a lot
held moves both quotes by about a third of a spread.

Source: models 13 (quotes), 14.4 (factors of the limit), 10.4 (volatility), 14.1 (liquidity), 14.2 (impact).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bot.sizing.inventory import distances
from bot.sizing.strategy import Parametrised, StrategyError

_BPS = 1e4
_LEAST_SPREAD_PIPS = 0.2  # a locked feed has no spread to measure by (models 3.2)
_PIPS_A_TICK = 0.1


@dataclass(frozen=True, slots=True)
class MarketMaking(Parametrised):
    """Quotes both sides and lets what fills decide the position.

    Units: `gamma` 1/(spread lot); `k` 1/spread; `intensity` fills a second; `horizon_s` seconds, 0 for the stationary
        model, above it Avellaneda-Stoikov; `quote_frac` size of a quote as a share of base leverage; `requote_frac`
        spreads; `volatility_prior_bps` bps per square root of a second, taken while none is measured, 0 for none.
        `alpha`, `beta` and `volatility_power` are exponents of the factors; 0 switches a factor off.
    """

    gamma: float = 0.01
    k: float = 1.5
    intensity: float = 0.1
    horizon_s: float = 0.0
    quote_frac: float = 0.2
    requote_frac: float = 0.5
    alpha: float = 0.5
    beta: float = 0.5
    volatility_power: float = 1.0
    volatility_prior_bps: float = 0.0
    floor: float = 0.25
    cap: float = 1.25

    name: ClassVar[str] = "market-making"
    is_pure: ClassVar[bool] = True
    has_direction: ClassVar[bool] = True
    factor_names: ClassVar[tuple[str, ...]] = ("volatility", "liquidity", "impact")

    def __post_init__(self) -> None:
        positive = {"gamma": self.gamma, "k": self.k, "intensity": self.intensity}
        for key, number in positive.items():
            if not number > 0:
                raise StrategyError(f"strategy market-making needs {key} > 0; it has {number}")
        if not 0 < self.quote_frac <= 1:
            raise StrategyError(f"strategy market-making needs 0 < quote_frac <= 1; it has {self.quote_frac}")
        others = (self.horizon_s, self.requote_frac, self.alpha, self.beta, self.volatility_power)
        if min(*others, self.volatility_prior_bps) < 0 or not 0 < self.floor <= 1 <= self.cap:
            raise StrategyError(
                "strategy market-making needs horizon_s, requote_frac, alpha, beta, volatility_power and "
                "volatility_prior_bps of 0 or more, and 0 < floor <= 1 <= cap"
            )

    def factors(self, table: np.ndarray, side: np.ndarray | None = None) -> np.ndarray:  # noqa: ARG002
        """Return the factors of the inventory limit, (3, S) in the order of `factor_names`.

        Args: `side` is not used: an inventory may have to leave by either side, so the dearer one counts.
        Missing: NaN where a factor is unknown, unless its exponent is 0; the inventory may then only shrink.
        Source: models 14.4; the clip of volatility is 10.4's.
        """
        impact_bps = np.maximum(table["buy_impact_bps"], table["sell_impact_bps"])
        volatility = (table["usual_volatility_bps"] / table["volatility_bps"]) ** self.volatility_power
        return np.stack(
            [
                np.clip(volatility, self.floor, 2.0),
                np.clip(table["liquidity_ratio"] ** self.alpha, self.floor, self.cap),
                np.clip((table["usual_impact_bps"] / impact_bps) ** self.beta, self.floor, self.cap),
            ]
        )

    def reference(self, table: np.ndarray) -> np.ndarray:
        """Return the weighted mid of the book, (S,); NaN where a side is empty. Source: models 4.1."""
        weighted_mid: np.ndarray = table["weighted_mid"]
        return weighted_mid

    def quotes(
        self,
        table: np.ndarray,
        inventory_units: np.ndarray,
        limit_units: np.ndarray,
        lot_units: np.ndarray,
        pip: np.ndarray,
    ) -> np.ndarray:
        """Return how far bid and ask lie from the reference price, (S, 2); the bid is that much below, the ask above.

        No quote reaches the other side of the touch: between the bid and the best ask stays a tenth of a pip at least.

        Args: `limit_units` the largest |inventory|; a side is quoted while one more lot fits, or while it sheds.
        Shapes: arrays (S,).   Units: base units; distances and `pip` in price.
        Missing: NaN: do not quote that side.
        """
        spread, sigma = self._scales(table, pip)
        lots = np.where(lot_units > 0, lot_units, np.nan)
        found, _ = distances(
            inventory_units / lots,
            limit_units / lots,
            sigma,
            gamma=self.gamma,
            k=self.k,
            intensity=self.intensity,
            horizon_s=self.horizon_s,
        )
        reference, tick = self.reference(table), _PIPS_A_TICK * pip
        quotes: np.ndarray = found * spread[:, np.newaxis]
        quotes[:, 0] = np.maximum(quotes[:, 0], reference - np.fmin(table["depth_ask"], table["ask"]) + tick)
        quotes[:, 1] = np.maximum(quotes[:, 1], np.fmax(table["depth_bid"], table["bid"]) - reference + tick)
        return quotes

    def reservation(
        self, table: np.ndarray, inventory_units: np.ndarray, lot_units: np.ndarray, pip: np.ndarray
    ) -> np.ndarray:
        """Return the reservation price, (S,): below the reference while long, above it while short."""
        spread, sigma = self._scales(table, pip)
        lots = np.where(lot_units > 0, lot_units, np.nan)
        _, offsets = distances(
            inventory_units / lots,
            np.full(len(lots), np.inf),
            sigma,
            gamma=self.gamma,
            k=self.k,
            intensity=self.intensity,
            horizon_s=self.horizon_s,
        )
        return np.asarray(self.reference(table) + offsets * spread)

    def _scales(self, table: np.ndarray, pip: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the usual spread in price, and volatility in spreads per square root of a second."""
        reference = self.reference(table)
        usual_bps = np.where(np.isfinite(table["mean_spread_bps"]), table["mean_spread_bps"], table["spread_bps"])
        spread = np.maximum(usual_bps * reference / _BPS, _LEAST_SPREAD_PIPS * pip)
        known = np.isfinite(table["volatility_bps"])
        prior = self.volatility_prior_bps if self.volatility_prior_bps > 0 else np.nan
        volatility_bps = np.where(known, table["volatility_bps"], prior)
        return spread, np.asarray(volatility_bps * reference / _BPS / spread)
