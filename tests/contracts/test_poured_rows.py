"""Rows that go straight into the books lead where rows told as events do: to the same Decisions and the same bytes."""

from pathlib import Path
from typing import Any

import pytest
from wired_bot import CLIENT, START, TOKEN, bot_config, virtual_venue

from bot.assembly import Run, assemble
from bot.ctrader.framing import FrameReader
from bot.ctrader.pipeline import Pipeline
from bot.engine.engine import Engine

_STEP_NS = 5_000_000


class WithoutSink:
    """An engine that must be told of rows."""

    sink = None

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


class Watched:
    """A run, and how many of its batches were poured."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.poured = 0
        pour = run.session.pour

        def counted(*given: Any) -> bool:
            is_poured = pour(*given)
            self.poured += is_poured
            return is_poured

        run.session.pour = counted  # type: ignore[method-assign]


@pytest.mark.parametrize(("market", "least_orders"), [("synthetic:calm", 3), ("synthetic:flash-crash", 0)])
def test_poured_or_told_the_decisions_are_the_same_to_the_last_byte(
    market: str, least_orders: int, tmp_path: Path
) -> None:
    config = bot_config(
        tmp_path,
        trade=True,
        strategy={"name": "composite", "base_leverage": 3},
        sizing={"warm_up_s": 1, "persistence_s": 0, "max_increase_frac_per_min": None, "band": 0},
        execution={"min_interval_s": 0.25},
    )
    venue = virtual_venue(market)
    poured, told = (Watched(assemble(config, CLIENT, TOKEN, "run1")) for _ in range(2))
    pipelines = [
        Pipeline(poured.run.session, poured.run.engine, orders_to_venue=True),
        Pipeline(told.run.session, WithoutSink(told.run.engine), orders_to_venue=True),  # type: ignore[type-var]
    ]
    link, reader, now_ns, orders = venue.connect(START), FrameReader(), START, 0

    def both(call: str, *given: Any) -> None:
        nonlocal orders
        first, second = (getattr(pipeline, call)(*given) for pipeline in pipelines)
        assert first.encode() == second.encode(), f"at {(now_ns - START) / 1e9} s"
        orders += len(first.intended)
        sent, other = (pipeline.data_to_send() for pipeline in pipelines)
        assert sent == other
        if sent:
            link.receive(sent, now_ns)

    both("link_up", START)
    for _ in range(40 * 200):
        now_ns += _STEP_NS
        venue.advance(now_ns)
        if now_ns >= pipelines[0].next_timeout_ns():
            both("timer", now_ns)
        for data in link.segments_to_send(now_ns):
            if data:
                both("batch", reader.receive(data), now_ns)
    assert told.poured == 0 and poured.poured > 500
    assert orders >= least_orders
