"""The whole state of a backtest in a file, so that one that was killed goes on where it was.

How it works: a backtest has no files, sockets or clocks, so its world (session, engine, venue, connection) is objects
and arrays, and is pickled as one. Three things need care: arrays that are views of others must be so again; protocol
messages come from a private pool and are kept as bytes; and compiled loops know arrays by their addresses, so whoever
holds addresses is told that everything lies elsewhere now.

A checkpoint is read by the same version of the same program on the same inputs only: `key` says which. It is a pickle:
as with any, only read what you have written yourself.
"""

import io
import itertools
import os
import pickle
import re
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from bot.ctrader.schema import message

_CONTAINERS = ("RepeatedCompositeContainer", "RepeatedScalarContainer")
_COUNT = re.compile(r"count\((-?\d+)(?:, (-?\d+))?\)")


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # it has no types
    def reducer_override(self, given: Any) -> Any:
        if type(given) is np.ndarray and isinstance(given.base, np.ndarray):
            root = given.base
            while isinstance(root.base, np.ndarray):
                root = root.base
            offset = given.__array_interface__["data"][0] - root.__array_interface__["data"][0]
            return _view, (root, given.shape, given.dtype, offset, given.strides, given.flags.writeable)
        if isinstance(given, Message):
            return _message, (given.DESCRIPTOR.name, given.SerializePartialToString())
        if type(given).__name__ in _CONTAINERS:
            return list, (list(given),)
        if isinstance(given, memoryview) and isinstance(given.obj, np.ndarray):
            return memoryview, (given.obj,)
        if isinstance(given, Descriptor):
            return _descriptor, (given.name,)
        if isinstance(given, type) and issubclass(given, Message) and given is not Message:
            return message, (given.DESCRIPTOR.name,)
        if isinstance(given, itertools.count):  # from Python 3.14 on nothing of itertools can be pickled by itself
            match = _COUNT.fullmatch(repr(given))
            assert match is not None
            return itertools.count, (int(match[1]), int(match[2] or 1))
        return super().reducer_override(given)


def _view(root: np.ndarray, shape: Any, dtype: Any, offset: int, strides: Any, is_writeable: bool) -> np.ndarray:
    view: np.ndarray = np.ndarray(shape, dtype, buffer=root, offset=offset, strides=strides)
    if not is_writeable:
        view.flags.writeable = False
    return view


def _message(name: str, content: bytes) -> Any:
    restored = message(name)()
    restored.MergeFromString(content)
    return restored


def _descriptor(name: str) -> Any:
    return message(name).DESCRIPTOR


def save_checkpoint(path: Path, key: str, world: Any) -> None:
    """Write a world to a file, whole or not at all."""
    buffer = io.BytesIO()
    _Pickler(buffer).dump((key, world))
    beside = path.with_suffix(f".{os.getpid()}.part")
    with beside.open("wb") as file:
        file.write(buffer.getbuffer())
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def load_checkpoint(path: Path, key: str) -> Any | None:
    """Return the world in a file; None when there is none, it is damaged, or of other inputs or another version."""
    try:
        with path.open("rb") as file:
            found, world = pickle.load(file)  # our own file, see above
    except FileNotFoundError:
        return None
    except Exception:  # a pickle can fail in any way; then the backtest begins anew
        return None
    return world if found == key else None
