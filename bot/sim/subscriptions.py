"""What one link wants to be told of the market, by symbol and account."""

from bot.sim.entities import Refused


class Subscriptions:
    """Spots, depth and live trendbars. Depth and trendbars need spots first; a second subscription is refused.

    `spots[symbol_id][account_id]` tells whether times are wanted; `depth[symbol_id]` holds accounts;
    `bars[symbol_id][account_id]` holds periods.
    """

    def __init__(self) -> None:
        self.spots: dict[int, dict[int, bool]] = {}
        self.depth: dict[int, set[int]] = {}
        self.bars: dict[int, dict[int, set[int]]] = {}

    def add_spots(self, account_id: int, symbols: list[int], *, with_time: bool) -> None:
        """Raises: Refused (ALREADY_SUBSCRIBED) when any of the symbols is; nothing is added then."""
        self._refuse_known([s for s in symbols if account_id in self.spots.get(s, {})], "spots")
        for symbol_id in symbols:
            self.spots.setdefault(symbol_id, {})[account_id] = with_time

    def remove_spots(self, account_id: int, symbols: list[int]) -> None:
        """End spots, and with them the depth and trendbars that stand on them."""
        for symbol_id in symbols:
            self.spots.get(symbol_id, {}).pop(account_id, None)
            self.depth.get(symbol_id, set()).discard(account_id)
            self.bars.get(symbol_id, {}).pop(account_id, None)

    def add_depth(self, account_id: int, symbols: list[int]) -> None:
        """Raises: Refused (NOT_SUBSCRIBED_TO_SPOTS, ALREADY_SUBSCRIBED); nothing is added then."""
        for symbol_id in symbols:
            self._need_spots(account_id, symbol_id)
        self._refuse_known([s for s in symbols if account_id in self.depth.get(s, set())], "depth")
        for symbol_id in symbols:
            self.depth.setdefault(symbol_id, set()).add(account_id)

    def remove_depth(self, account_id: int, symbols: list[int]) -> None:
        """End depth."""
        for symbol_id in symbols:
            self.depth.get(symbol_id, set()).discard(account_id)

    def add_bars(self, account_id: int, symbol_id: int, period: int) -> None:
        """Raises: Refused (NOT_SUBSCRIBED_TO_SPOTS, ALREADY_SUBSCRIBED)."""
        self._need_spots(account_id, symbol_id)
        periods = self.bars.setdefault(symbol_id, {}).setdefault(account_id, set())
        self._refuse_known([symbol_id] if period in periods else [], "trendbars")
        periods.add(period)

    def remove_bars(self, account_id: int, symbol_id: int, period: int) -> None:
        """End trendbars of one period."""
        self.bars.get(symbol_id, {}).get(account_id, set()).discard(period)

    def drop_account(self, account_id: int) -> None:
        """End everything of an account."""
        self.remove_spots(account_id, list(self.spots))

    def _need_spots(self, account_id: int, symbol_id: int) -> None:
        if account_id not in self.spots.get(symbol_id, {}):
            raise Refused("NOT_SUBSCRIBED_TO_SPOTS", f"subscribe to the spots of symbol {symbol_id} first")

    @staticmethod
    def _refuse_known(symbols: list[int], what: str) -> None:
        if symbols:
            raise Refused("ALREADY_SUBSCRIBED", f"{what} of symbols {symbols} are subscribed already")
