"""What a backtest came to: its rows and fills, what was counted, and the file that keeps them.

How it works: one compressed npz a run, the counts as JSON inside, written beside and renamed, so that a file is whole
or not there. Nothing in it is code.
"""

import json
import os
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from bot.research.backtest.record import FILL, is_capped
from bot.research.metrics.arm_run import ArmRun

FORMAT = 1


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """One run.

    Shapes: `clocks` (T,) of `record.clock_dtype`, `fills` (F,) of `record.FILL`.
    Units: money in deposit currency; times ns. `figures` what was counted: decisions, rows, messages, orders by state,
        refusals by check, rejections by code, dead quotes, connections, stop-outs, swaps with their times, equity of
        engine and venue.
    `labels` what kind of data each symbol has.
    """

    name: str
    symbols: tuple[str, ...]
    labels: dict[str, str]
    factor_names: tuple[str, ...]
    base_leverage: float
    clocks: np.ndarray
    fills: np.ndarray
    figures: dict[str, Any] = field(default_factory=dict)
    assumptions: dict[str, Any] = field(default_factory=dict)

    def arm_run(self, from_ns: int = 0, weights: Sequence[float] = ()) -> ArmRun:
        """Return the run as the metrics take it, from a time on.

        Args: `weights` of the symbols, as the config has them: the run's file does not; none given: 1.
        Raises: ValueError when there is no row from that time on.
        """
        rows, is_in = self.clocks[self.clocks["time_ns"] >= from_ns], self.fills["time_ns"] >= from_ns
        fills, before = self.fills[is_in], self.fills[~is_in]
        held_units = np.bincount(before["symbol"], before["units"], len(self.symbols))
        return ArmRun(
            self.name,
            rows["time_ns"],
            rows["equity"],
            rows["leverage"],
            rows["crisis_level"],
            rows["exit_cost_bps"],
            is_capped(rows["bound"]),
            fills,
            sum(money for time_ns, money in self.figures.get("swaps", ()) if time_ns >= from_ns),
            tuple(t for t in self.figures.get("stop_outs_ns", ()) if t >= from_ns),
            self.base_leverage,
            tuple(held_units.tolist()),
            weights=tuple(weights),
        )

    def save(self, path: Path) -> None:
        """Write the run to a file, whole or not at all."""
        rest = {k: v for k, v in asdict(self).items() if k not in ("clocks", "fills")}
        content = json.dumps({"format": FORMAT, **rest})
        beside = path.with_suffix(f".{os.getpid()}.part")
        with beside.open("wb") as file:
            np.savez_compressed(file, clocks=self.clocks, fills=self.fills, rest=np.array(content))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return the run in a file. Raises: ValueError, one line, when it is not one, or damaged."""
        try:
            # Opened here: numpy leaves a file open that turns out to be damaged.
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                rest = json.loads(str(stored["rest"]))
                if rest.pop("format") != FORMAT:
                    raise ValueError("another format")
                clocks, fills = stored["clocks"], stored["fills"]
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path} is not a result of a backtest, or damaged: {error}") from None
        if fills.dtype != FILL:
            raise ValueError(f"{path} is a result of another version: its fills have other fields")
        for name in ("symbols", "factor_names"):
            rest[name] = tuple(rest[name])
        return cls(clocks=clocks, fills=fills, **rest)
