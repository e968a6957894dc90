"""Snapshots for tests of the page: of a whole bot on a virtual clock, and the same with something changed."""

import copy
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bot.assembly import Run
from bot.dashboard.scene import Scene
from bot.dashboard.trail import Trail
from bot.dashboard.tree import Node, found, text_of
from bot.dashboard.words.catalogue import Words
from bot.telemetry.snapshot import Snapshots
from tests.wired_bot import WiredBot, bot_config, virtual_venue

Snapshot = dict[str, Any]
EVERY_S = 0.5


@cache
def _taken(market: str, trade: bool, seconds: float) -> list[Snapshot]:
    """A run of a composite strategy: its snapshots twice a second, from its very start."""
    changes: dict[str, Any] = {
        "strategy": {"name": "composite", "base_leverage": 3, "parameters": {"volatility_sample_s": 0.5}},
        "sizing": {"warm_up_s": 3, "persistence_s": 1, "max_increase_frac_per_min": 1, "band": 0.05},
    }
    if trade:
        changes["execution"] = {"order_type": "limit"}
    taken: list[Snapshot] = []
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        made: list[Snapshots] = []

        def watch(run: Run) -> list[Any]:
            made.append(Snapshots(run.config, run.session, run.engine))
            return [*made]

        config = bot_config(Path(folder), trade=trade, **changes)
        bot = WiredBot(Path(folder), config, virtual_venue(market), watch=watch)
        taken.append(made[0].snapshot(bot.driver.figures, bot.now_ns()))
        bot.start()
        for _ in range(round(seconds / EVERY_S)):
            bot.let(EVERY_S, 1 / 32)
            taken.append(made[0].snapshot(bot.driver.figures, bot.now_ns()))
    return taken


def paper_run(seconds: float = 15) -> list[Snapshot]:
    """A dry run in a calm market: nothing is known at first, and orders fill later on."""
    return copy.deepcopy(_taken("synthetic:calm", False, seconds))


def resting_run(seconds: float = 15) -> list[Snapshot]:
    """A run whose orders rest in the book of the venue."""
    return copy.deepcopy(_taken("synthetic:calm", True, seconds))


def newest(change: Callable[[Snapshot], Any] = lambda snapshot: None) -> Snapshot:
    """The last snapshot of the dry run, with a change."""
    snapshot = paper_run()[-1]
    change(snapshot)
    return snapshot


def scene_of(snapshot: Snapshot | None, language: str = "en", **more: Any) -> Scene:
    """A look at one snapshot that has just come."""
    trail = Trail()
    if snapshot is not None:
        trail.add(snapshot)
    return Scene(Words(language), snapshot, **({"kind": "live", "trail": trail, "received_s": 0.2} | more))


def shown_value(tree: Node, place: str) -> tuple[float | None, str]:
    """A value of the page: the number behind it, and what is read."""
    (figure,) = found(tree, data_testid=f"value:{place}")
    raw = figure[1]["data-value"]
    return (float(raw) if raw else None), text_of(figure)
