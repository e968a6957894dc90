"""/metrics: every figure of the table in the docs and no other, equal to the engine's; what is unknown is absent."""

import math
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from telemetry_desk import COMPOSITE, TelemetryDesk

DOCUMENT = Path(__file__).parents[2] / "docs" / "telemetry.md"
_ROW = re.compile(r"^\| `(microlev_\w+)` \| (\w+) \| (.*?) \|", re.MULTILINE)


@pytest.fixture
def desk(tmp_path: Path) -> TelemetryDesk:
    desk = TelemetryDesk(tmp_path, **COMPOSITE)
    desk.bot.start().until(lambda: desk.bot.is_ready).let(15)
    return desk


def families(desk: TelemetryDesk) -> dict[str, Any]:
    answer = desk.get("/metrics")
    assert answer.status == 200 and answer.headers["content-type"].startswith("text/plain")
    return {family.name: family for family in text_string_to_metric_families(answer.body.decode())}


def figures(desk: TelemetryDesk) -> dict[tuple[str, ...], float]:
    """Return every sample by its name and the text of its labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families(desk).values()
        for sample in family.samples
    }


def test_the_table_in_the_docs_has_every_metric_with_its_kind_and_labels_and_no_other(desk: TelemetryDesk) -> None:
    told = {
        name: (kind, tuple(re.findall(r"`(\w+)`", labels)))
        for name, kind, labels in _ROW.findall(DOCUMENT.read_text(encoding="utf-8"))
    }
    found = {}
    for name, family in families(desk).items():
        labels = {label: None for sample in family.samples for label in sample.labels if label != "le"}
        total = "_total" if family.type == "counter" else ""
        found[f"{name}{total}"] = (family.type, set(labels))
        assert family.documentation
    assert {name: (kind, set(labels)) for name, (kind, labels) in told.items()} == found


def test_figures_are_those_of_the_engine(desk: TelemetryDesk) -> None:
    engine, ours, shown = desk.bot.run.engine, desk.bot.driver.figures, figures(desk)
    assert engine.table is not None
    for s, symbol in enumerate(("EURUSD", "USDJPY")):
        row = engine.table[s]
        for name in ("spread_bps", "liquidity_ratio", "obi", "ofi", "volatility_bps", "crisis_level"):
            assert shown[f"microlev_{name}", symbol] == float(row[name])
        for side in ("buy", "sell"):
            assert shown["microlev_impact_bps", side, symbol] == float(row[f"{side}_impact_bps"])
    for each in engine.explanations():
        assert shown["microlev_leverage_wanted", each.symbol] == each.leverage_wanted
        assert shown["microlev_leverage_allowed", each.symbol] == each.leverage_goal
        assert shown["microlev_leverage_target", each.symbol] == each.leverage_target
        assert shown["microlev_leverage_now", each.symbol] == each.leverage_now != 0
    assert shown["microlev_equity",] == engine.valuation.equity
    assert shown["microlev_margin_level_ratio",] == pytest.approx(engine.valuation.equity / engine.used_margin())
    assert (shown["microlev_daily_loss_ratio",], shown["microlev_drawdown_ratio",]) == engine.losses
    assert shown["microlev_decisions_total",] == ours.decisions > 100
    assert shown["microlev_order_changes_total", "filled"] == ours.order_states["filled"] > 0
    assert (shown["microlev_ready",], shown["microlev_connected",]) == (1, 1)


def test_the_state_of_trading_is_one_of_three(desk: TelemetryDesk) -> None:
    desk.post({"command": "halt"})
    shown = figures(desk)
    states = {state: shown["microlev_trading_state", state] for state in ("active", "reducing", "halted")}
    assert states == {"active": 0, "reducing": 0, "halted": 1}


def test_what_is_unknown_is_absent_and_never_nought(tmp_path: Path) -> None:
    desk = TelemetryDesk(tmp_path)
    desk.bot.start()
    shown = figures(desk)
    for name in ("equity", "balance", "margin_level_ratio"):
        assert (f"microlev_{name}",) not in shown
    assert not any(name.startswith(("microlev_leverage", "microlev_spread")) for name, *_ in shown)
    assert (shown["microlev_ready",], shown["microlev_connected",]) == (0, 0)
    assert all(math.isfinite(figure) for figure in shown.values())


def test_latencies_are_a_histogram_whose_buckets_add_up(desk: TelemetryDesk) -> None:
    samples = families(desk)["microlev_decision_latency_seconds"].samples
    buckets = [sample.value for sample in samples if sample.name.endswith("_bucket")]
    count = next(sample.value for sample in samples if sample.name.endswith("_count"))
    total = next(sample.value for sample in samples if sample.name.endswith("_sum"))
    assert buckets == sorted(buckets) and buckets[-1] == count
    assert count == sum(desk.bot.driver.figures.decision_latency.counts) > 100
    assert total == pytest.approx(sum(desk.bot.driver.figures.decision_ns) / 1e9)
    assert samples[0].labels == {"le": "1e-05"} and samples[len(buckets) - 1].labels == {"le": "+Inf"}


def test_readers_and_what_they_missed_are_counted(desk: TelemetryDesk) -> None:
    desk.ask("/stream")
    desk.bot.let(20)
    shown = figures(desk)
    assert shown["microlev_telemetry_readers",] == 1
    assert shown["microlev_telemetry_snapshots_total",] >= 80
    assert shown["microlev_telemetry_dropped_snapshots_total",] > 20


def test_nothing_else_of_the_process_is_in_the_text(desk: TelemetryDesk) -> None:
    assert all(name.startswith("microlev_") for name in families(desk))


def test_without_the_package_it_says_what_to_install_and_the_rest_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    desk = TelemetryDesk(tmp_path).start()
    answer = desk.get("/metrics")
    assert answer.status == 501 and "prometheus-client" in answer.json["error"]
    assert desk.get("/state").status == 200
