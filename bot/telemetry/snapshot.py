"""A snapshot: everything that a page, a terminal or a metric shows of a run at one moment, as one JSON object.

How it works: `Snapshots` watches the Decisions of a run, live or replayed, and keeps what has happened of late; a
snapshot is made when somebody asks for one, from the engine as it stands. It is the `status` object with more: the
account against its limits, every symbol with its book and its leverage, the newest fills and events. It is to be read
only: what has happened is shared by the snapshots that show it.

Invariant: looking changes nothing; the decisions of a run are the same with and without it.
"""

from collections.abc import Collection
from typing import Any

from bot.config import Config
from bot.ctrader.session import Session
from bot.engine.decision import Decision
from bot.engine.engine import Engine
from bot.telemetry.account_view import account_view
from bot.telemetry.event_log import EventLog
from bot.telemetry.figures import RunFigures
from bot.telemetry.fill_log import FillLog
from bot.telemetry.plain import without_nan
from bot.telemetry.status import status
from bot.telemetry.symbol_view import symbol_view

SCHEMA = 1
"""Grows when a key goes or changes its meaning; new keys may come without."""
_FILLS_SHOWN = _EVENTS_SHOWN = 60


class Snapshots:
    """Makes snapshots of one run. Args: `source` is `live` or `journal`."""

    def __init__(self, config: Config, session: Session, engine: Engine, *, source: str = "live") -> None:
        self._config, self._session, self._engine = config, session, engine
        self._source = source
        self.events = EventLog(engine, is_paper=config.mode == "dry-run")
        self.fills = FillLog()

    def __call__(self, decision: Decision) -> None:
        """Take one Decision; a quiet one costs next to nothing."""
        if decision.is_quiet:
            return
        self.events(decision)
        self.fills(decision)

    def snapshot(self, figures: RunFigures, now_ns: int, ladders: Collection[str] | None = None) -> dict[str, Any]:
        """Return the run as it stands. Args: `ladders` the symbols whose books are wanted; None for every traded one.

        Keys: those of `status`, and `account_limits`, `latency`, `symbols`, `fills`, `events`. What is unknown is null.
        """
        engine, config = self._engine, self._config
        explanations = engine.explanations()
        explained = {each.symbol: each for each in explanations}
        doubled = {each.then.symbol: each for each in engine.if_spread_doubles()}
        content = status(config, self._session, engine, figures, now_ns, explanations) | {
            "type": "snapshot",
            "time_ns": now_ns,
            "schema": SCHEMA,
            "source": self._source,
            "account_limits": account_view(config, engine),
            "latency": _latency(figures),
        }
        if self._source == "journal":
            content["process_id"] = None  # not this process's run
        # Symbols are plain as they are made, what has happened since it happened: that is most of a snapshot.
        shown: dict[str, Any] = without_nan(content)
        shown["symbols"] = [
            {
                "traded": (choice := config.symbols.get(spec.name)) is not None,
                "direction": None if choice is None else choice.direction,
                **symbol_view(
                    engine,
                    s,
                    spec,
                    explained.get(spec.name),
                    doubled.get(spec.name),
                    with_ladder=spec.name in (config.symbols if ladders is None else ladders),
                ),
                "slippage": without_nan(self.fills.slippage(spec.name)),
            }
            for s, spec in enumerate(engine.specs)
        ]
        return shown | {"fills": self.fills.newest(_FILLS_SHOWN), "events": self.events.newest(_EVENTS_SHOWN)}


def _latency(figures: RunFigures) -> dict[str, Any]:
    """Return how long decisions and orders of the run took, microseconds; None before the first."""
    kinds = (("decision", figures.decision_latency), ("order", figures.order_latency))
    return {
        f"{kind}_{name}_us": buckets.percentile_us(share)
        for kind, buckets in kinds
        for name, share in (("p50", 0.5), ("p99", 0.99))
    }
