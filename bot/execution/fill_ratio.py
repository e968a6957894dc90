"""How much of what we ask for the venue fills: a Beta distribution that forgets old orders."""

from bot.execution.beta import beta_quantile

SYMBOL_PRIOR = (4.0, 1.0)
HALF_LIFE_ORDERS = 50.0


class FillRatio:
    """The fill ratio of one symbol.

    Before each order what is known fades towards the prior; the order then adds the share that was filled to one side
    and the rest to the other. Units: `prior` pseudo-orders (filled, not filled); `half_life_orders` orders, infinite
    for no fading; `order_count` is not faded; `recent_count` those since it was last told to forget.
    Source: models 9.1.
    """

    def __init__(self, prior: tuple[float, float] = SYMBOL_PRIOR, half_life_orders: float = HALF_LIFE_ORDERS) -> None:
        self._prior = prior
        self._decay = 2.0 ** (-1.0 / half_life_orders)
        self.filled, self.missed = prior
        self.order_count = self.recent_count = 0
        self._q10: float | None = None  # not asked for since the last order

    def ended(self, fraction: float) -> None:
        """Take one order's filled share, in [0, 1]; 0 for one that was rejected.

        Raises: ValueError for anything else. Orders that we cancelled ourselves say nothing: leave them out.
        """
        if not 0.0 <= fraction <= 1.0:
            raise ValueError(f"the filled share of an order lies in [0, 1], not {fraction}")
        prior_filled, prior_missed = self._prior
        if self.recent_count == 0:
            self.filled, self.missed = self._prior
        self.filled = prior_filled + self._decay * (self.filled - prior_filled) + fraction
        self.missed = prior_missed + self._decay * (self.missed - prior_missed) + (1.0 - fraction)
        self.order_count += 1
        self.recent_count += 1
        self._q10 = None

    def forget(self) -> None:
        """Begin anew with the next order. Until then the figures are those of the last one, for a report."""
        self.recent_count = 0

    @property
    def mean(self) -> float:
        """The expected filled share; that of the prior before the first order."""
        return self.filled / (self.filled + self.missed)

    @property
    def q10(self) -> float:
        """The 10 % quantile: the true share is above it with a probability of 90 %. What gating goes by."""
        if self._q10 is None:
            self._q10 = beta_quantile(0.1, self.filled, self.missed)
        return self._q10
