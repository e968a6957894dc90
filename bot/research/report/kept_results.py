"""The runs of a comparison as its files have them: read when they are looked at, one at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bot.research.backtest.result import Result
from bot.research.compare.comparison import Comparison
from bot.research.report.comparison_figures import groups_of


class KeptResults(Sequence[Result]):
    """Runs in files. Each look reads the file anew, so that none is held longer than it is needed.

    Args: `files` are (name, file), the name being what the run is called in figures.
    """

    def __init__(self, files: Sequence[tuple[str, Path]]) -> None:
        self._files = files

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, place: Any) -> Any:
        name, path = self._files[place]
        return replace(Result.load(path), name=name)

    def __iter__(self) -> Iterator[Result]:
        return (self[place] for place in range(len(self)))


def kept_results(comparison: Comparison) -> KeptResults:
    """Return the runs of a comparison's first signal and matching, called after their arms, as far as they are kept.

    Raises: ValueError, when one is looked at whose file is damaged.
    """
    groups = groups_of(comparison)
    found = [(arm.arm, arm.result) for arm in comparison.arms if (arm.signal, arm.matching) == groups[0]]
    return KeptResults([(name, path) for name, path in found if path is not None and path.is_file()])
