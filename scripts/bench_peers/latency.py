"""How long a decision takes: bytes of one read in, bytes to send out, through the real reader, session and engine.

How it works: the bot trades with the embedded venue on a virtual clock, so nothing waits and no socket is in between.
Only `deliver` is timed, by the clock on the wall, and by the processor's, which does not count what other programs
of the machine take. Leverage that follows the imbalance, without a band, wants a little more or less after nearly
every look at the book, so that there are many trading decisions. What the driver does between decision and socket, the
ledger's confirmed write, is timed apart, with the ledger itself on this disk.
"""

import gc
import tempfile
import time
from pathlib import Path

from bench_peers.ready_bot import START_NS, ReadyBot, ready_bot, trading_config
from bot.engine.decision import Decision
from bot.execution.requests import ClosePosition, PlaceOrder
from bot.journal.ledger import Intent, Ledger

_STEP_NS = 5_000_000
_GIVE_UP_STEPS = 200_000
_WARM_UP_DECISIONS = 50
_LEAST_DECISIONS = 500
# Nothing but the market shall hold an order back, twice a second and symbol: what the venue takes without a queue.
_SECTIONS = {
    "risk": {"max_orders_per_minute": 10_000, "max_daily_loss_frac": 1.0, "max_drawdown_frac": 1.0},
    "execution": {"min_interval_s": 0.5},
    "strategy": {"name": "order-book-imbalance", "base_leverage": 0.05},
    "sizing": {"warm_up_s": 0, "persistence_s": 0, "max_increase_frac_per_min": None, "band": 0},
}


def _kind(decision: Decision, sent: bytes) -> str | None:
    """Return what a decision was: one order, quiet market data, or something else, as several orders at once."""
    if sent and sum(isinstance(request, PlaceOrder | ClosePosition) for request in decision.requests) == 1:
        return "order"
    is_quiet = len(decision.rows) and not (sent or decision.requests or decision.order_changes or decision.refused)
    return "quiet" if is_quiet else None


def decision_rows(wanted: int) -> dict[str, list[float]]:
    """Return microseconds of at least `wanted` decisions that sent one order, and of those that did not.

    `order` and `quiet` by the wall clock, `order_cpu` and `quiet_cpu` by the processor's. There are fewer when a
    thousand seconds of the market do not lead to so many. Raises: RuntimeError when they are too few for a p99.
    """
    bot = ready_bot(trading_config(**_SECTIONS))
    took_us: dict[str, list[float]] = {kind: [] for kind in ("order", "order_cpu", "quiet", "quiet_cpu")}
    gc.collect()
    gc.freeze()
    for _ in range(_GIVE_UP_STEPS):
        _step(bot, took_us)
        if len(took_us["order"]) >= wanted + _WARM_UP_DECISIONS:
            break
    gc.unfreeze()
    measured = len(took_us["order"]) - _WARM_UP_DECISIONS
    if measured < min(wanted, _LEAST_DECISIONS):
        raise RuntimeError(f"only {measured} decisions of {wanted} led to an order")
    return {kind: times[_WARM_UP_DECISIONS:] for kind, times in took_us.items()}


def _step(bot: ReadyBot, took_us: dict[str, list[float]]) -> None:
    for data in bot.step(_STEP_NS):
        began_ns, began_cpu_ns = time.perf_counter_ns(), time.thread_time_ns()
        decision, sent = bot.deliver(data)
        ended_cpu_ns, ended_ns = time.thread_time_ns(), time.perf_counter_ns()
        bot.hear(sent)
        kind = _kind(decision, sent)
        if kind is not None:
            took_us[kind].append((ended_ns - began_ns) / 1000)
            took_us[f"{kind}_cpu"].append((ended_cpu_ns - began_cpu_ns) / 1000)


def ledger_rows(folder: Path, wanted: int) -> dict[str, list[float]]:
    """Return microseconds of so many intents put on the disk that holds `folder`."""
    took_us = []
    with tempfile.TemporaryDirectory(dir=folder) as place:
        ledger = Ledger(Path(place) / "ledger.sqlite3")
        for number in range(wanted):
            intent = Intent(f"bench-{number}", "bench", 1, "open", 100_000, "market_range", START_NS + number)
            began_ns = time.perf_counter_ns()
            ledger.record_intent(intent)
            took_us.append((time.perf_counter_ns() - began_ns) / 1000)
        ledger.close()
    return {"ledger": took_us}
