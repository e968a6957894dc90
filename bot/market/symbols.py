"""What a symbol is: ids, digits, volume grid, trading hours, and the rounding that follows from them.

Prices on the wire come in two forms: market data as integers of 1/100000 (`_e5`), orders and positions as doubles.
Volumes are always integers of 0.01 base unit (`_cents`).
"""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

# Up to so many steps a float is off by less than a millionth of one; nearer to the half of a step it may decide.
_EXACT_STEPS, _NEAR_HALF = 1e9, 1e-3

E5 = 100_000
DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Holiday:
    """Time within one day in which a symbol does not trade.

    Units: `day` in days since 1970-01-01; `start_s`, `end_s` in seconds since that day's midnight in `time_zone`, end
        exclusive. A `recurring` one returns on the same day of every year.
    Missing: an empty `time_zone` is the symbol's own.
    Source: ProtoOAHoliday.
    """

    day: int
    start_s: int = 0
    end_s: int = DAY_S
    recurring: bool = False
    time_zone: str = ""


@dataclass(frozen=True, slots=True)
class SymbolSpec:
    """One symbol as the broker defines it.

    Units: volumes in 0.01 base unit; `leverage_id` keys the dynamic leverage tiers; `schedule` holds
        (start, end) in seconds since Sunday 00:00 in `schedule_time_zone`, end exclusive; empty means unknown. What
        they mean at a moment: `bot.market.hours`. `max_exposure_cents` bounds what the account may hold of the symbol,
        both sides together, 0 for no bound; `stop_distance`, `profit_distance` see `least_distance`.
    Source: ProtoOASymbol joined with ProtoOALightSymbol (base and quote asset, enabled).
    """

    symbol_id: int
    name: str
    base_asset: str
    quote_asset: str
    digits: int
    pip_position: int
    lot_size_cents: int
    min_volume_cents: int
    step_volume_cents: int
    max_volume_cents: int
    leverage_id: int | None = None
    trading_mode: str = "ENABLED"
    short_selling: bool = True
    schedule: tuple[tuple[int, int], ...] = ()
    schedule_time_zone: str = "UTC"
    commission_type: str | None = None
    commission_rate: float | None = None
    holidays: tuple[Holiday, ...] = ()
    max_exposure_cents: int = 0
    stop_distance: int = 0
    profit_distance: int = 0
    is_distance_in_points: bool = True

    @property
    def point(self) -> float:
        """Smallest price step, 10^-digits."""
        return 10.0**-self.digits

    def least_distance(self, stated: int, price: float) -> float:
        """Return a least distance from the market that the broker states, as a difference of prices.

        Units: `stated` in points, or where the broker says so in hundredths of a percent of the price: the scale of its
            percentages is documented nowhere, and a distance that is too small is refused and told.
        Source: ProtoOASymbol.slDistance, tpDistance, distanceSetIn.
        """
        return stated * self.point if self.is_distance_in_points else stated * price / 1e4

    @property
    def tick_e5(self) -> int:
        """Smallest price step in 1/100000; 1 for symbols with five digits or more."""
        return int(10 ** max(0, 5 - self.digits))

    @property
    def pip(self) -> float:
        """Price of one pip."""
        return 10.0**-self.pip_position

    def lots(self, volume_cents: int) -> float:
        """Return a volume in lots."""
        return volume_cents / self.lot_size_cents

    @property
    def least_volume_cents(self) -> int:
        """The smallest tradable volume on the grid; the minimum need not be a multiple of the step."""
        return -(-self.min_volume_cents // self.step_volume_cents) * self.step_volume_cents

    def round_volume(self, volume_cents: float) -> int:
        """Return the largest tradable volume not above `volume_cents`; 0 when that is below the minimum.

        Never rounds up: a size the caller did not ask for must not be traded. The maximum caps one order.
        """
        if not volume_cents >= self.min_volume_cents:  # also refuses NaN
            return 0
        capped = int(min(volume_cents, self.max_volume_cents))
        step = self.step_volume_cents
        rounded = capped - capped % step
        return rounded if rounded >= self.min_volume_cents else 0

    def round_price(self, price: float) -> float:
        """Return a price rounded to the symbol's digits in decimal arithmetic, as the venue requires."""
        steps = price * 10.0**self.digits
        if abs(steps) < _EXACT_STEPS and abs(steps % 1.0 - 0.5) > _NEAR_HALF:
            return round(price, self.digits)  # the same, quicker, where no last bit of a float decides
        return float(Decimal(repr(float(price))).quantize(Decimal(1).scaleb(-self.digits), ROUND_HALF_EVEN))
