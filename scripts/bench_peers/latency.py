"""How long a decision takes: bytes of one read in, bytes to send out, through the real reader, session and engine.

How it works: the bot trades with the embedded venue on a virtual clock, so nothing waits and no socket is in between.
Only what the bot does with one read is timed, by the clock on the wall, and by the processor's, which does not count
what other programs of the machine take. All that reached it is kept, and given once more to a bot that has just been
started, one read after the other: its Decisions are the same to the last byte, and what is measured is the bot alone.
The first time, the venue's own work between two reads has taken the caches for itself, as other programs do when a
market is slow. Both are told.

Leverage that follows the imbalance, without a band, wants a little more or less after nearly every look at the book, so
that there are many trading decisions. What the driver does between decision and socket, the ledger's confirmed write,
is timed apart, with the ledger itself on this disk.
"""

import gc
import tempfile
import time
from pathlib import Path

from bench_peers.ready_bot import START_NS, ReadyBot, new_bot, ready_bot, trading_config
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

    `order` and `quiet` by the wall clock, `order_cpu` and `quiet_cpu` by the processor's, one read after the other;
    `order_between` and `quiet_between` by the wall clock with the venue's own work between two reads. There are fewer
    when a thousand seconds of the market do not lead to so many. Raises: RuntimeError when they are too few for a p99,
    or the second bot has not sent the same bytes.
    """
    config = trading_config(**_SECTIONS)
    bot = ready_bot(config)
    before_ready = len(bot.inputs)
    between = _Times()
    gc.collect()
    gc.freeze()
    sent = []
    for _ in range(_GIVE_UP_STEPS):
        for data in bot.step(_STEP_NS):
            answer = between.take(bot, data)
            bot.hear(answer)
            sent.append(answer)
        if len(between.order) >= wanted + _WARM_UP_DECISIONS:
            break
    gc.unfreeze()
    measured = len(between.order) - _WARM_UP_DECISIONS
    if measured < min(wanted, _LEAST_DECISIONS):
        raise RuntimeError(f"only {measured} decisions of {wanted} led to an order")
    alone = _repeated(new_bot(config, bot.venue), bot.inputs, before_ready, sent)
    return {name: times[_WARM_UP_DECISIONS:] for name, times in (alone.named("") | between.named("_between")).items()}


def _repeated(bot: ReadyBot, inputs: list[tuple[int, bytes | None]], before_ready: int, sent: list[bytes]) -> "_Times":
    """Give a new bot what another has been given; return the times of what came once that one was READY."""
    times, answers = _Times(), []
    bot.run.pipeline.data_to_send()
    gc.collect()
    gc.freeze()
    for number, (now_ns, data) in enumerate(inputs):
        bot.now_ns = now_ns
        if data is None:
            bot.time_out()
        elif number < before_ready:
            bot.deliver(data)
        else:
            answers.append(times.take(bot, data))
    gc.unfreeze()
    if answers != sent:
        raise RuntimeError("given the same bytes a second time, the bot has not sent the same")
    return times


class _Times:
    """Microseconds of decisions by kind, on the wall's clock and the processor's."""

    def __init__(self) -> None:
        self.order: list[float] = []
        self.order_cpu: list[float] = []
        self.quiet: list[float] = []
        self.quiet_cpu: list[float] = []

    def take(self, bot: ReadyBot, data: bytes) -> bytes:
        """Deliver a read of the socket, note how long it took, and return what was sent."""
        began_ns, began_cpu_ns = time.perf_counter_ns(), time.thread_time_ns()
        decision, sent = bot.deliver(data)
        ended_cpu_ns, ended_ns = time.thread_time_ns(), time.perf_counter_ns()
        kind = _kind(decision, sent)
        if kind is not None:
            wall, processor = (self.order, self.order_cpu) if kind == "order" else (self.quiet, self.quiet_cpu)
            wall.append((ended_ns - began_ns) / 1000)
            processor.append((ended_cpu_ns - began_cpu_ns) / 1000)
        return sent

    def named(self, suffix: str) -> dict[str, list[float]]:
        """Return them by name; those with a suffix by the wall's clock only."""
        wall = {f"order{suffix}": self.order, f"quiet{suffix}": self.quiet}
        return wall if suffix else wall | {"order_cpu": self.order_cpu, "quiet_cpu": self.quiet_cpu}


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
