"""A sink that keeps the delta rows it is given, up to as many as it has room for."""

import numpy as np
from numba import cfunc

from bot.market.delta import DELTA
from bot.market.delta_sink import SINK_SIGNATURE, DeltaSink
from bot.market.memory import address, carray, pointer

_ROOM = 1 << 15


@cfunc(SINK_SIGNATURE)
def _collect(context: int, rows: int, count: int, now_ns: int) -> int:
    state = carray(pointer(context), (4,), np.int64)
    kept, given = carray(pointer(state[0]), (_ROOM,), DELTA), carray(pointer(rows), (count,), DELTA)
    taken = min(count, state[2])
    for i in range(taken):
        kept[i] = given[i]
    state[1], state[3] = taken, now_ns
    return taken


class CollectingSink:
    """Rows of one message at a time. Args: `room` how many are taken of a message."""

    def __init__(self, room: int = _ROOM) -> None:
        self._rows = np.zeros(_ROOM, DELTA)
        self._state = np.array([address(self._rows), 0, room, 0], np.int64)
        self.rest: list[np.ndarray] = []
        self.sink = DeltaSink.of(_collect, self._state, lambda rows, _now_ns: self.rest.append(rows))

    def take(self) -> tuple[int, bytes]:
        """Return when rows were given since the last call, and the rows; 0 and none if there were none."""
        count, now_ns = int(self._state[1]), int(self._state[3])
        self._state[1] = self._state[3] = 0
        return now_ns, self._rows[:count].tobytes()
