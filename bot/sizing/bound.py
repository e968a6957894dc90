"""What holds a leverage back: one small number a symbol, with a word for people."""

from enum import IntEnum


class Bound(IntEnum):
    """What keeps the target of a symbol from what its strategy asks for; the numbers are journalled."""

    NONE = 0
    # Caps.
    KELLY = 1
    STOP_OUT = 2
    EXIT_COST = 3
    MAX_VOLUME = 4
    MAX_SYMBOL = 5
    MAX_TOTAL = 6
    MARGIN = 7
    # Moments in which nothing may grow.
    CRISIS = 8
    CALENDAR = 9
    NOT_READY = 10
    HANDS_OFF = 11
    UNKNOWN_FACTOR = 12
    UNKNOWN_CAP = 13
    EXIT_EMPTY = 14
    # Patience.
    WARM_UP = 15
    PERSISTENCE = 16
    RATE = 17
    BAND = 18
    TOUCH = 19
    QUOTES = 20
    LEAST_ORDER = 21


LETS_STAY = frozenset(
    {
        *(Bound.NONE, Bound.KELLY, Bound.STOP_OUT, Bound.EXIT_COST, Bound.MAX_VOLUME, Bound.MAX_SYMBOL),
        *(Bound.MAX_TOTAL, Bound.MARGIN, Bound.PERSISTENCE, Bound.RATE, Bound.BAND, Bound.TOUCH, Bound.LEAST_ORDER),
    }
)
"""What holds a target back without forbidding growth: an order that rests already may stay for it, within the goal."""

BOUND_WORDS: dict[Bound, str] = {
    Bound.NONE: "",
    Bound.KELLY: "Kelly",
    Bound.STOP_OUT: "stop-out",
    Bound.EXIT_COST: "exit cost",
    Bound.MAX_VOLUME: "broker's maximum volume",
    Bound.MAX_SYMBOL: "max_symbol_leverage",
    Bound.MAX_TOTAL: "max_leverage",
    Bound.MARGIN: "margin use or stop-out distance of the account",
    Bound.CRISIS: "crisis",
    Bound.CALENDAR: "calendar window",
    Bound.NOT_READY: "not ready",
    Bound.HANDS_OFF: "closed by hand",
    Bound.UNKNOWN_FACTOR: "a factor is unknown",
    Bound.UNKNOWN_CAP: "a cap is unknown",
    Bound.EXIT_EMPTY: "nothing affordable to close against",
    Bound.WARM_UP: "warm-up",
    Bound.PERSISTENCE: "waits to see whether it lasts",
    Bound.RATE: "rate of increase",
    Bound.BAND: "within the no-trade band",
    Bound.TOUCH: "half way, more than the best level holds",
    Bound.QUOTES: "left to resting quotes",
    Bound.LEAST_ORDER: "less than the smallest order",
}
