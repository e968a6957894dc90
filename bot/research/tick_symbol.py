"""The lines of one symbol among those of several, by a column of symbols; makers and brokers write one in many ways.

How it works: EUR/USD, EUR_USD and eurusd are the same. EURUSD.r and EURUSDm are EURUSD with a broker's suffix, and
taken for it in a file that has no other symbol.
"""

import re

import numpy as np
import pyarrow as pa

SEPARATORS = "/_.-"
_MOST_TOLD = 5


def is_same(one: str, other: str) -> bool:
    """Tell whether two names are the same but for letter case and signs between."""
    return _plain(one) == _plain(other)


def is_suffixed(one: str, other: str) -> bool:
    """Tell whether either name is the other with a broker's suffix: behind a sign, or in small letters."""
    return any(re.fullmatch(_with_suffix(a), b) is not None for a, b in ((one, other), (other, one)))


class SymbolLines:
    """Which lines are of a symbol, block by block. `others` has some names of other symbols, as they are met."""

    def __init__(self, symbol: str) -> None:
        self._symbol = symbol
        self._suffixed: str | None = None  # the one name of the file, if it is ours with a suffix
        self.others: list[str] = []

    def among(self, names: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        """Return which cells (N,) name the symbol, and which name another.

        Raises: ValueError when the file has been taken for one of the symbol with a suffix, and is not.
        """
        encoded = names.dictionary_encode()
        told = encoded.dictionary.to_pylist()
        known = [name for name in told if name]
        if not self.others and len(known) == 1 and self._suffixed is None and is_suffixed(known[0], self._symbol):
            self._suffixed = known[0]
        is_ours = np.array([is_same(name, self._symbol) or name == self._suffixed for name in told], np.bool_)
        is_named = np.array([bool(name) for name in told], np.bool_)
        others = [name for name, ours in zip(told, is_ours, strict=True) if name and not ours]
        strange = [name for name in known if name != self._suffixed]
        if self._suffixed is not None and strange:
            raise ValueError(f"holds {self._suffixed} and {strange[0]}: name the one that is wanted with --symbol")
        self.others += [name for name in others if name not in self.others][: _MOST_TOLD - len(self.others)]
        places = encoded.indices.to_numpy(zero_copy_only=False)
        return is_ours[places], (is_named & ~is_ours)[places]


def _plain(name: str) -> str:
    return name.upper().translate(str.maketrans("", "", SEPARATORS))


def _with_suffix(name: str) -> str:
    letters = rf"[{re.escape(SEPARATORS)}]?".join(map(re.escape, _plain(name)))
    return rf"(?i:{letters})(?:[^\w\s]\w*|_\w+|[A-Z]?[a-z]+)"
