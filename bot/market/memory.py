"""Arrays over memory that is known by its address, for compiled code.

How it works: who owns the memory keeps it alive and says where it lies; compiled code lays its arrays over it. Such an
array has no owner, so nothing is counted when it goes from function to function, and a call from Python unpacks a
number instead of an array. Of a call that takes a microsecond, both are a good part.

numba keeps compiled code by the date of the function's file, the types of its arguments and what it encloses. Where the
arguments are addresses, the types say nothing of the arrays behind them; so such a function encloses their `layout`.

Invariants: an address is used only while the array it was taken of is alive; a function that is kept on disk and takes
addresses encloses the layout of what lies there.
"""

from typing import Any
from zlib import crc32

import numpy as np
from numba import carray, types  # type: ignore[attr-defined]  # carray is exported at run time
from numba.extending import intrinsic

__all__ = ["address", "carray", "layout", "pointer"]


def address(array: np.ndarray) -> int:
    """Return where the memory of an array begins."""
    return int(array.ctypes.data)


def layout(*kinds: np.dtype) -> int:
    """Return a number that is another one as soon as a field of these is renamed, moved, or of another type."""
    return crc32(repr([(kind.descr, kind.itemsize) for kind in kinds]).encode())


def _pointer(typing_context: Any, place: Any) -> Any:  # noqa: ARG001
    """Return an address as what `carray` takes."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.voidptr(types.int64), generate


pointer: Any = intrinsic(_pointer)
"""pointer(address) -> what `carray` takes as its place; in compiled code only."""
