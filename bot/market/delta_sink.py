"""Who takes delta rows as they are decoded: a compiled function, known by its address, and what it works on.

How it works: the decoder and the books do not know each other, and yet a row need not become a Python object between
them: the decoder's compiled loop calls whatever sink it is given.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import types
from numba.core.cgutils import ir  # type: ignore[attr-defined]  # numba's own, of the release it needs
from numba.extending import intrinsic

from bot.market.memory import address

SINK_SIGNATURE = types.int64(types.int64, types.int64, types.int64, types.int64)
"""(context, address of the first row, number of rows, receive time in ns) -> how many rows were taken.

Rows are of `bot.market.delta.DELTA`, whole messages. Fewer are taken when there is no room for the next: nothing of the
rest is applied, and the caller hands it to the sink's `rest`, which makes room.
"""


@dataclass(frozen=True, slots=True, eq=False)
class DeltaSink:
    """A taker of delta rows.

    Args: `function` the address of a C function of `SINK_SIGNATURE`; `context` what it needs; `rest` takes the rows for
        which there was no room, and their receive time.

    Invariant: the function is a module's and lives as long as the process; the sink holds the context, and by `rest`
        who owns what that points to. So all addresses are good while it lives.
    """

    function: int
    context: int
    rest: Callable[[np.ndarray, int], None]
    held: np.ndarray

    @classmethod
    def of(cls, compiled: Any, context: np.ndarray, rest: Callable[[np.ndarray, int], None]) -> "DeltaSink":
        """Return the sink of a module's `numba.cfunc` that works on a context array; `rest` is its owner's."""
        return cls(compiled.address, address(context), rest, context)


def _pour(typing_context: Any, function: Any, context: Any, rows: Any, count: Any, now_ns: Any) -> Any:  # noqa: ARG001
    word = ir.IntType(64)
    kind = ir.FunctionType(word, [word] * 4)

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), list(arguments[1:]))

    return types.int64(*[types.int64] * 5), generate


pour: Any = intrinsic(_pour)
"""pour(function, context, rows, count, now_ns) -> what the sink's function says; in compiled code only."""
