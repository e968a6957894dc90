"""`microlev demo --config`: a file says what is traded and how, the demo where; and what `--market` promises."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from private_reactor import Bench, bench

from bot.cli.options import MARKET_HELP
from bot.config import Config
from bot.journal.reader import JournalReader
from bot.sim.listing import extra_symbols
from bot.sim.scenario import SCENARIOS

__all__ = ["bench"]  # a fixture

# Twisted 26.10 still hands pyOpenSSL its own deprecated certificate objects.
pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")

PRESET: dict[str, Any] = {
    "venue": {"environment": "live", "port": "${A_PORT_THAT_IS_NOT_SET}"},
    "account": {"id": 12_345_678, "label": "other"},
    "credentials": {"client_id": "${CTRADER_CLIENT_ID}", "client_secret": "${CTRADER_CLIENT_SECRET}"},
    "mode": "trade",
    "symbols": {"US500": {}, "JP225": {"direction": "short", "weight": 0.5}},
    "strategy": {"name": "constant", "base_leverage": 1},
    "sizing": {"crisis": False},
    "execution": {"slicing": "none", "order_type": "market"},
    "risk": {"max_leverage": 4},
    "on_stop": "keep",
    "manage": "own",
}
OF_TRADING = ("symbols", "strategy", "sizing", "execution", "risk", "on_stop", "manage")


def preset(folder: Path, **changes: Any) -> Path:
    path = folder / "preset.yaml"
    path.write_text(yaml.safe_dump(PRESET | changes), encoding="utf-8")
    return path


def demo(bench: Bench, path: Path, *flags: object, seconds: float = 1.0) -> int:
    given = ["demo", "--config", path, "--seconds", seconds, "--json", "--record", bench.folder / "journals", *flags]
    return bench.microlev(*given)


def journalled(bench: Bench) -> dict[str, Any]:
    (path,) = (bench.folder / "journals").glob("*.journal.zst")
    with JournalReader(path) as reader:
        config: dict[str, Any] = reader.header["config"]
    assert bench.microlev("replay", path, "--verify") == 0
    return config


@pytest.mark.parametrize(
    ("flags", "mode"), [(["--trade"], "trade"), pytest.param([], "dry-run", marks=pytest.mark.slow)]
)
def test_a_preset_is_traded_on_the_embedded_venue_and_the_flag_alone_says_whether_orders_are_sent(
    flags: list[str], mode: str, bench: Bench
) -> None:
    where = bench.folder / "elsewhere"
    file = preset(bench.folder, state={"directory": str(where)}, recording={"directory": str(where)})
    assert demo(bench, file, *flags) == 0, bench.err
    filled = [line for line in bench.lines if line["type"] == "order" and line["state"] == "filled"]
    assert {(line["symbol"], line["side"], line["order_type"]) for line in filled} == {
        ("US500", "buy", "market"), ("JP225", "sell", "market")}  # fmt: skip
    assert {line["paper"] for line in filled} == {mode == "dry-run"}
    summary = bench.lines[-1]
    assert summary["leverage"]["US500"] == pytest.approx(1.0, rel=0.05)
    assert summary["leverage"]["JP225"] == pytest.approx(-0.5, rel=0.05)
    assert (bench.err, where.exists()) == ("", False)
    config = journalled(bench)
    asked = Config.model_validate({section: PRESET[section] for section in OF_TRADING}).model_dump(mode="json")
    asked["sizing"] = PRESET["sizing"]
    assert {section: config[section] for section in OF_TRADING} == {section: asked[section] for section in OF_TRADING}
    assert config["venue"]["environment"] == "simulator"
    assert (config["account"]["id"], config["account"]["label"]) == (1_000_001, "microlev")
    assert (config["mode"], config["recording"]["directory"]) == (mode, None)


@pytest.mark.slow
def test_a_warm_up_longer_than_the_demo_is_kept_and_told(bench: Bench) -> None:
    assert demo(bench, preset(bench.folder, sizing={"crisis": False, "warm_up_s": 60})) == 0
    assert bench.err.startswith("hint: sizing.warm_up_s is 60, ")
    assert "--seconds" in bench.err and bench.err.count("\n") == 1
    assert not [line for line in bench.lines if line["type"] == "intended_order"]
    assert journalled(bench)["sizing"]["warm_up_s"] == 60


def test_without_a_file_the_demo_is_what_it_was(bench: Bench) -> None:
    assert bench.microlev("demo", "--seconds", "0.5", "--json", "--record", bench.folder / "journals") == 0
    assert bench.err == ""
    config = journalled(bench)
    assert list(config["symbols"]) == ["EURUSD", "USDJPY", "XAUUSD"]
    assert config["strategy"]["name"] == "composite"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"symbols": {"EURUSD": {}, "GER40": {}}}, "symbols.GER40: the embedded venue has no GER40; it has: EURUSD, "),
        ({"symbols": {"US500.cash": {}}}, "symbols.US500.cash: the embedded venue has no US500.cash; it has: EURUSD, "),
        ({"strategy": {"name": "constant", "parameters": {"alpha": 1}}}, "strategy.parameters: "),
        ({"strategy": {"name": "constnat"}}, "did you mean 'constant'"),
        ({"risk": {"max_leverage": 0}}, "risk.max_leverage: is 0"),
        ({"symbols": {}}, "symbols: is empty"),
    ],
)
def test_a_preset_that_does_not_fit_is_one_line_and_exit_2_before_anything_starts(
    changes: dict[str, Any], words: str, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compiled() -> None:
        raise AssertionError("nothing is compiled for a file that cannot be used")

    monkeypatch.setattr("bot.app.warm_up", compiled)
    assert demo(bench, preset(bench.folder, **changes)) == 2
    assert "preset.yaml:" in bench.err and words in bench.err
    assert (bench.out, bench.err.count("\n")) == ("", 1)


def test_a_preset_that_is_not_there_is_exit_2(bench: Bench) -> None:
    assert demo(bench, bench.folder / "none.yaml") == 2
    assert bench.err.endswith("none.yaml: no such file; give the path of a YAML config\n")


@pytest.mark.parametrize("name", ["demo.yaml", "simulator.yaml"])
def test_the_examples_are_presets(name: str, bench: Bench) -> None:
    path = Path(__file__).parents[2] / "config" / name
    assert demo(bench, path, seconds=0.1) == 0, bench.err


@pytest.mark.parametrize("command", ["demo", "sim"])
def test_the_help_names_every_scenario(command: str, bench: Bench) -> None:
    assert bench.microlev(command, "--help") == 0
    shown = bench.out.replace("-\n", "-")
    for name in SCENARIOS:
        assert name in MARKET_HELP and name in shown
    if command == "sim":
        assert all(spec.name in shown for spec in extra_symbols())
