"""A connection that is lost on purpose in a backtest, and when it is made again."""

from typing import NamedTuple


class Drop(NamedTuple):
    """The link ends at `at_ns` and is made again at `until_ns`. Units: UTC ns."""

    at_ns: int
    until_ns: int
