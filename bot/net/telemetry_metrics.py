"""A run's metrics in the text form of Prometheus, read from the engine when they are asked for.

How it works: a collector with a registry of its own, so that nothing else of the process is in the text. What is
unknown is left out, as Prometheus has it, and never 0. `docs/telemetry.md` has a table of all of them.

Needs `prometheus_client`, which is optional: without it there is no collector.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bot import __version__
from bot.config import Config
from bot.engine.engine import Engine
from bot.engine.explained import Explanation
from bot.telemetry.figures import RunFigures
from bot.telemetry.latency import BOUNDS_NS, LatencyBuckets

HOW_TO_INSTALL = "metrics need the package prometheus-client; install it beside microlev"
_MARKET = {  # metric -> column of the engine's table, what it is
    "spread_bps": ("spread_bps", "Spread, in 1/10000 of mid."),
    "liquidity_ratio": ("liquidity_ratio", "Liquidity against what is usual; 1 is as usual."),
    "obi": ("obi", "Order book imbalance, -1 to 1, positive with more on the bid."),
    "ofi": ("ofi", "Order flow imbalance."),
    "volatility_bps": ("volatility_bps", "Volatility, in 1/10000 of mid."),
    "crisis_level": ("crisis_level", "Level of the crisis guard, 0 none to 3."),
}
_LEVERAGE: Mapping[str, tuple[Callable[[Explanation], float], str]] = {
    "leverage_wanted": (lambda each: each.leverage_wanted, "Wished by the strategy, before any cap."),
    "leverage_allowed": (lambda each: each.leverage_goal, "What caps and the crisis guard leave of it."),
    "leverage_target": (lambda each: each.leverage_target, "What may be traded to now."),
    "leverage_now": (lambda each: each.leverage_now, "What is held."),
}
_TRADING = ("active", "reducing", "halted")
# Three a decade are enough to draw; the percentiles of a snapshot come from finer ones.
_BOUNDS_NS = tuple(step * 10**power for power in range(4, 10) for step in (1, 2, 5))


class RunMetrics:
    """A collector of one run. Args: `telemetry` returns readers, snapshots made, and snapshots that readers missed."""

    def __init__(
        self, config: Config, engine: Engine, run_id: str, telemetry: Callable[[], tuple[int, int, int]]
    ) -> None:
        self._config, self._engine, self._run_id, self._telemetry = config, engine, run_id, telemetry
        from prometheus_client import core  # optional

        self._kinds: Any = core
        self.figures: RunFigures | None = None

    def collect(self) -> Iterator[Any]:
        """Yield every metric as it stands."""
        if self.figures is None:
            return
        yield from self._run(self.figures)
        yield from self._account()
        yield from self._symbols()
        yield from self._counts(self.figures)
        yield from self._shown()

    def _run(self, figures: RunFigures) -> Iterator[Any]:
        config, engine = self._config, self._engine
        account = engine.account
        labels = {
            "run_id": self._run_id,
            "account_id": str(account.account_id if account is not None else config.account.id or ""),
            "environment": config.venue.environment,
            "mode": config.mode,
            "strategy": config.strategy.name,
            "currency": account.deposit_asset if account is not None else "",
            "version": __version__,
        }
        yield self._gauge("run_info", "Which run this is; always 1.", {tuple(labels.values()): 1}, *labels)
        state = figures.state
        yield self._single("ready", "1 when the run is ready to trade.", float(state is not None and state.ready))
        yield self._single("connected", "1 while a link to the venue stands.", float(figures.connected_ns is not None))
        states = {(name,): float(name == engine.trading) for name in _TRADING}
        yield self._gauge("trading_state", "1 for the trading state that is in force.", states, "state")

    def _account(self) -> Iterator[Any]:
        engine = self._engine
        equity, margin, balance = engine.valuation.equity, engine.used_margin(), engine.portfolio.balance
        daily_loss, drawdown = engine.losses
        level = equity / margin if margin > 0 else math.nan
        for name, figure, text in (
            ("equity", equity, "Equity, in deposit currency."),
            ("balance", math.nan if balance is None else float(balance), "Balance, in deposit currency."),
            ("used_margin", margin, "Used margin, in deposit currency."),
            ("margin_level_ratio", level, "Equity / used margin; absent while no margin is used."),
            ("daily_loss_ratio", daily_loss, "Loss of the trading day, as a fraction of equity."),
            ("drawdown_ratio", drawdown, "Loss from the highest equity, as a fraction of it."),
        ):
            yield self._single(name, text, figure)

    def _symbols(self) -> Iterator[Any]:
        engine, table = self._engine, self._engine.table
        names = [spec.name for spec in engine.specs if spec.name in self._config.symbols]
        rows = {spec.name: table[s] for s, spec in enumerate(engine.specs)} if table is not None else {}
        for name, (column, text) in _MARKET.items():
            yield self._gauge(name, text, {(s,): float(rows[s][column]) for s in names if s in rows}, "symbol")
        sides = {
            (s, side): float(rows[s][f"{side}_impact_bps"]) for s in names if s in rows for side in ("buy", "sell")
        }
        yield self._gauge("impact_bps", "Cost of an order of the usual size, in 1/10000.", sides, "symbol", "side")
        explanations = engine.explanations()
        for name, (read, text) in _LEVERAGE.items():
            found = {(each.symbol,): read(each) for each in explanations}
            yield self._gauge(name, f"Leverage, signed, in equities. {text}", found, "symbol")

    def _counts(self, figures: RunFigures) -> Iterator[Any]:
        for name, count, text in (
            ("frames", figures.frames, "Frames received from the venue."),
            ("decisions", figures.decisions, "Decisions made."),
            ("connections", figures.connections, "Links to the venue that came up."),
            ("intended_orders", figures.intended, "Orders planned, on paper or sent."),
            ("refused", figures.refused, "Refusals by our own risk gate."),
        ):
            yield self._counter(name, text, {(): count})
        states = {(state,): count for state, count in sorted(figures.order_states.items())}
        yield self._counter("order_changes", "Changes of our orders, by the state they came to.", states, "state")
        yield self._histogram(
            "decision_latency_seconds", "From bytes received to a decision.", figures.decision_latency
        )
        yield self._histogram(
            "order_latency_seconds", "From bytes received to an order's bytes.", figures.order_latency
        )

    def _shown(self) -> Iterator[Any]:
        readers, made, dropped = self._telemetry()
        yield self._single("telemetry_readers", "Readers of the stream of snapshots.", readers)
        yield self._counter("telemetry_snapshots", "Snapshots made.", {(): made})
        yield self._counter("telemetry_dropped_snapshots", "Snapshots that slow readers have missed.", {(): dropped})

    def _single(self, name: str, text: str, figure: float) -> Any:
        return self._gauge(name, text, {(): figure})

    def _gauge(self, name: str, text: str, figures: Mapping[tuple[str, ...], float], *labels: str) -> Any:
        family = self._kinds.GaugeMetricFamily(f"microlev_{name}", text, labels=labels)
        for values, figure in figures.items():
            if math.isfinite(figure):
                family.add_metric(values, figure)
        return family

    def _counter(self, name: str, text: str, counts: Mapping[tuple[str, ...], float], *labels: str) -> Any:
        family = self._kinds.CounterMetricFamily(f"microlev_{name}", text, labels=labels)
        for values, count in counts.items():
            family.add_metric(values, count)
        return family

    def _histogram(self, name: str, text: str, latencies: LatencyBuckets) -> Any:
        counts = latencies.cumulative((*_BOUNDS_NS, BOUNDS_NS[-1]))
        bounds = [repr(bound / 1e9) for bound in (*_BOUNDS_NS, BOUNDS_NS[-1])] + ["+Inf"]
        family = self._kinds.HistogramMetricFamily(f"microlev_{name}", text)
        family.add_metric([], buckets=list(zip(bounds, counts, strict=True)), sum_value=latencies.sum_ns / 1e9)
        return family


def metrics_text(collector: RunMetrics) -> tuple[str, bytes]:
    """Return the kind of text that Prometheus reads, and the text."""
    from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)  # type: ignore[arg-type]
    return CONTENT_TYPE_LATEST, generate_latest(registry)


def run_metrics(
    config: Config, engine: Engine, run_id: str, telemetry: Callable[[], tuple[int, int, int]]
) -> RunMetrics | None:
    """Return the collector of a run; None where the package for it is not installed."""
    try:
        return RunMetrics(config, engine, run_id, telemetry)
    except ImportError:
        return None
