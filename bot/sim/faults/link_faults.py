"""What can go wrong with one connection: bytes that are slow, cut up, lost, doubled or out of order.

Units: times in ns of the venue's clock, sizes in bytes. A fault "lasts" when it holds for a while; the others happen
once. What lasts ends with the `for_ns` of its `Fault`.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Latency:
    """Every message takes this much longer, each way, plus up to `jitter_ns`; the order is kept. Lasts."""

    inbound_ns: int = 0
    outbound_ns: int = 0
    jitter_ns: int = 0


@dataclass(frozen=True, slots=True)
class Split:
    """Bytes leave in segments of `size_bytes`, `gap_ns` apart. Lasts."""

    size_bytes: int
    gap_ns: int = 0


@dataclass(frozen=True, slots=True)
class Merge:
    """What is sent within `window_ns` leaves in one piece. Lasts."""

    window_ns: int


@dataclass(frozen=True, slots=True)
class Drop:
    """The connection ends. `when` is about the request or event that set it off; `abort` resets it, so that the peer
    sees no orderly end."""

    when: str = "before"  # before | after_execution (the reply is lost) | after_reply
    abort: bool = False


@dataclass(frozen=True, slots=True)
class Silence:
    """The connection stays up, but messages in `direction` vanish (`fate` lost) or wait for the end (late). Lasts."""

    direction: str = "both"  # both | inbound | outbound, as the venue sees it
    fate: str = "lost"  # lost | late


@dataclass(frozen=True, slots=True)
class SlowReader:
    """The venue stops reading: requests pile up and are handled when it is over. Lasts."""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The event is sent a second time, `gap_ns` later."""

    gap_ns: int = 0


@dataclass(frozen=True, slots=True)
class Reorder:
    """The event changes places with the next one of its account, or leaves alone after `within_ns`.

    Market data does not count as a next event unless the event itself is market data.
    """

    within_ns: int = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Late:
    """The event is held back; what comes after it overtakes it."""

    by_ns: int


@dataclass(frozen=True, slots=True)
class LoseEvent:
    """The event is never sent."""
