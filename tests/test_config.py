"""The configuration: contract defaults, one-line errors with file and line, secrets that never show."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

import strategies
from bot.config import (
    Config,
    ConfigError,
    SizingRules,
    check_live,
    check_supported,
    client_secrets,
    load_config,
    parse_config,
    redacted,
)
from bot.config.rules import BUILT_STRATEGIES

CONFIGS = Path(__file__).resolve().parent.parent / "config"
MINIMAL = "account: {id: 1}\nsymbols: {EURUSD: {}}\n"
ENVIRON = {"CTRADER_CLIENT_ID": "the-id", "CTRADER_CLIENT_SECRET": "the-secret"}
# design 3.2, without the keys that have no default, and with what has been added since.
CONTRACT = """
venue:        {environment: demo, host: null, port: null, ca_file: null, oauth_url: null, connect_timeout_s: 30}
mode: dry-run
manage: own
on_stop: cancel
on_manual_close: respect
strategy:     {name: composite, base_leverage: 5, on_error: hold, parameters: {}}
sizing:       {warm_up_s: 60, persistence_s: 30, max_increase_frac_per_min: 0.25, band: auto, calendar: true,
               time_of_day: true, crisis: true}
risk:         {max_leverage: 10, max_symbol_leverage: 8, max_margin_use_frac: 0.5, min_margin_level_frac: 3.0,
               stop_out_level_frac: 0.5, expected_margin_tolerance_frac: 0.05, max_daily_loss_frac: 0.02,
               max_drawdown_frac: 0.1, on_loss_limit: flatten, max_orders_per_minute: 30, stale_quote_s: 5,
               max_spread_bps: null, max_reject_frac: 0.5, max_slippage_beyond_bps: 5, max_clock_step_s: 5,
               min_disk_free_mb: 50, profit_tolerance_frac: 0.002, leverage_bands: [], leverage_windows: []}
execution:    {order_type: market_range, max_slippage_bps: 2.0, stop_loss_bps: null, take_profit_bps: null,
               slicing: almgren-chriss, min_interval_s: 1.0,
               order_timeout_s: 10, settle_s: 3}
recording:    {directory: null, segment_mb: 64, segment_minutes: 60, max_disk_gb: null}
state:        {directory: null}
"""


def parsed(text: str, environ: Mapping[str, str] = ENVIRON) -> Config:
    return parse_config(text, "bot.yaml", environ)


def refusal(text: str, environ: Mapping[str, str] = ENVIRON) -> str:
    with pytest.raises(ConfigError) as caught:
        parsed(text, environ)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith("bot.yaml:")
    return line.removeprefix("bot.yaml:")


def test_every_default_is_the_one_of_the_contract() -> None:
    contract = yaml.safe_load(CONTRACT)
    config = parsed(MINIMAL).model_dump(mode="json")
    assert {key: config[key] for key in contract} == contract
    assert config["account"] == {"id": 1, "label": "microlev"}
    assert set(config) == {*contract, "account", "credentials", "symbols", "backtest", "sweep", "telemetry", "alerts"}
    assert set(config["credentials"]) == {"client_id", "client_secret", "access_token", "token_file"}
    assert parsed(MINIMAL).credentials.token_file == Path("~/.config/microlev/token.json").expanduser()


def test_a_symbol_left_empty_is_long_with_weight_one() -> None:
    symbols = parsed("account: {id: 1}\nsymbols:\n  EURUSD:\n  USDJPY: {direction: short, weight: 0.5}\n").symbols
    assert [(s.direction, s.weight) for s in symbols.values()] == [("long", 1.0), ("short", 0.5)]
    assert list(symbols) == ["EURUSD", "USDJPY"]


def test_symbol_names_are_kept_as_written() -> None:
    names = ["NO", "on", "1", "1e3", "US500.cash", "null", "~"]
    config = parsed("account: {id: 1}\nsymbols:\n" + "".join(f"  {name}: {{}}\n" for name in names))
    assert list(config.symbols) == names


def test_variables_are_filled_in_wherever_they_stand() -> None:
    config = parsed(
        "account: {id: ${ID}, label: 'bot-${NAME}'}  # ${NOT_READ}\nsymbols: {EURUSD: {weight: ${W}}}\n"
        "credentials: {client_id: ${CTRADER_CLIENT_ID}, client_secret: ${CTRADER_CLIENT_SECRET}}\n"
        "venue:\n  environment: simulator\n  port: ${PORT}\n",
        {**ENVIRON, "ID": "77", "NAME": "a", "W": "0.5", "PORT": "5035"},
    )
    assert (config.account.id, config.account.label, config.venue.port) == (77, "bot-a", 5035)
    assert config.symbols["EURUSD"].weight == 0.5
    assert client_secrets(config).client_secret == "the-secret"


def test_a_value_is_filled_in_once_and_cannot_change_the_structure() -> None:
    environ = {**ENVIRON, "A": "${B}", "B": "no", "C": "x}, mode: trade, y: {z: 1"}
    config = parsed(MINIMAL + "recording: {directory: ${A}}\nstate: {directory: ${C}}", environ)
    assert config.recording.directory == Path("${B}")
    assert config.mode == "dry-run"


def test_credentials_default_to_their_variables_and_are_missed_only_when_needed() -> None:
    assert client_secrets(parsed(MINIMAL)).client_id == "the-id"
    with pytest.raises(ConfigError, match=r"^bot\.yaml:1: credentials\.client_id: is missing; set CTRADER_CLIENT_ID"):
        client_secrets(parsed(MINIMAL, {}))
    with pytest.raises(ConfigError, match="CTRADER_CLIENT_SECRET"):
        client_secrets(parsed(MINIMAL, {"CTRADER_CLIENT_ID": "a"}))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "1: config: is empty; it needs at least `symbols`"),
        ("# nothing\n", "1: config: is empty; it needs at least `symbols`"),
        ("- EURUSD\n", "1: config: should be `key: value` lines"),
        (MINIMAL + "mod: trade", "3: mod: unknown key, did you mean 'mode'?; allowed here: venue, account, "),
        (MINIMAL + "risk:\n  max_leverag: 3", "4: risk.max_leverag: unknown key, did you mean 'max_leverage'?; "),
        ("account: {id: 1}\nsymbol: {EURUSD: {}}", "2: symbol: unknown key, did you mean 'symbols'?; "),
        ("account: {id: 1}\nsymbols:\n  EURUSD: {weigth: 1}", "3: symbols.EURUSD.weigth: unknown key, did you mean "),
        (MINIMAL + "mode: trade\nmode: dry-run", "4: mode: stands here and on line 3; keep one"),
        ("account: {id: 1}\nsymbols:\n  A: {}\n  A: {}", "4: symbols.A: stands here and on line 3; keep one"),
        (MINIMAL + "risk: [1]", "3: risk: is [1]; should hold keys of its own: max_leverage, "),
        (
            MINIMAL + "\n\nvenue:\n  environment: dem",
            "6: venue.environment: is 'dem', did you mean 'demo'?; should be ",
        ),
        (MINIMAL + "mode:", "3: mode: is null; should be 'dry-run' or 'trade'"),
        (MINIMAL + "risk: {max_leverage: .nan}", "3: risk.max_leverage: is nan; should be a finite number"),
        (MINIMAL + "risk: {max_leverage: .inf}", "3: risk.max_leverage: is inf; should be a finite number"),
        (MINIMAL + "risk: {max_leverage: true}", "3: risk.max_leverage: is true; should be a number, not true or "),
        (MINIMAL + "risk: {max_leverage: 0}", "3: risk.max_leverage: is 0; should be greater than 0"),
        (MINIMAL + "risk: {max_orders_per_minute: on}", "3: risk.max_orders_per_minute: is true; should be a number"),
        (MINIMAL + "risk: {max_daily_loss_frac: 2}", "3: risk.max_daily_loss_frac: is 2; should be less than or equal"),
        (MINIMAL + "risk: {max_drawdown_frac: 0}", "3: risk.max_drawdown_frac: is 0; should be greater than 0"),
        (MINIMAL + "sizing: {crisis: 1}", "3: sizing.crisis: is 1; should be a valid boolean"),
        (MINIMAL + "sizing: {band: wide}", "3: sizing.band: is 'wide'; should be auto, or a number from 0 to 1"),
        (MINIMAL + "execution: {slicing: twap}", "3: execution.slicing: is 'twap'; should be 'none' or "),
        (MINIMAL + "venue: {port: 70000}", "3: venue.port: is 70000; should be less than or equal to 65535"),
        (MINIMAL + "venue: {port: ${PORT}}", "3: venue.port: the environment variable PORT is not set; set it, or "),
        (MINIMAL + "venue: {port: ${}}", "3: venue.port: ${} names no variable; write ${NAME}"),
        (MINIMAL + "strategy: {name: constnat}", "3: strategy.name: unknown strategy 'constnat', did you mean 'const"),
        (MINIMAL + "strategy: {name: ./mine.py}", "3: strategy.name: no strategy file at './mine.py'"),
        (MINIMAL + "recording: {directory: 5}", "3: recording.directory: is 5; should be text: put it in quotes"),
        (
            MINIMAL + "recording: {max_disk_gb: 0.1}",
            "3: recording.max_disk_gb: 0.1 GB is no room for two segments of 64 MB (recording.segment_mb)",
        ),
        (MINIMAL + "recording: {segment_mb: 0}", "3: recording.segment_mb: is 0; should be greater than 0"),
        ("account: {id: 1}", "1: symbols: is missing; name at least one symbol"),
        ("account: {id: 1}\nsymbols: {}", "2: symbols: is empty; name at least one symbol"),
        ("symbols: {EURUSD: {}}", "1: account.id: is missing; it is required for demo"),
        ("mode: trade\naccount: {label: x}\nsymbols: {A: }", "2: account.id: is missing; it is required for demo"),
        ("account: {id: 0}\nsymbols: {A: }", "1: account.id: is 0; should be greater than 0"),
        (MINIMAL + "mode: [", "3: config: is not valid YAML: "),
        (MINIMAL + "\tmode: trade", "3: config: is not valid YAML: "),
        (MINIMAL + "a: 1\n---\nb: 1", "4: config: is not valid YAML: "),
        (MINIMAL + "mode: !!python/name:os.system", "3: config: is not valid YAML: "),
        (MINIMAL + "mode: 2026-13-45", "3: mode: is not a value YAML can read"),
        (MINIMAL + "? [a, b]\n: 1", "3: config: a key should be one word"),
        (MINIMAL + "risk: &a {max_leverage: *a}", "3: risk.max_leverage: contains itself"),
        ("[" * 500, "1: config: is nested too deeply"),
    ],
)
def test_a_mistake_is_one_line_with_file_line_key_and_what_is_allowed(text: str, line: str) -> None:
    assert refusal(text).startswith(line)


def test_the_first_of_several_mistakes_is_shown_and_the_others_are_counted() -> None:
    line = refusal(MINIMAL + "execution: {settle_s: -1}\nmode: x\nrisk: {max_leverage: -3}")
    assert line == "3: execution.settle_s: is -1; should be greater than or equal to 0 (and 2 more)"


@pytest.mark.parametrize("name", ["constant", "liquidity-weighted", "impact-minimizing", "volatility-adaptive"])
def test_a_signal_needs_a_strategy_with_a_direction(name: str) -> None:
    text = f"account: {{id: 1}}\nstrategy: {{name: {name}}}\nsymbols:\n  A: {{direction: signal}}"
    assert refusal(text).startswith(f"4: symbols.A.direction: is 'signal', but the strategy '{name}' has no direction")
    assert parsed(text.replace("signal", "follow"))


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: no such file"):
        load_config(tmp_path / "none.yaml", ENVIRON)
    with pytest.raises(ConfigError, match="cannot be read: "):
        load_config(tmp_path, ENVIRON)
    (tmp_path / "latin.yaml").write_bytes("symbols: {É: {}}".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"latin\.yaml: is not UTF-8 text \(byte 10\)"):
        load_config(tmp_path / "latin.yaml", ENVIRON)


def test_a_byte_order_mark_is_not_part_of_the_first_key(tmp_path: Path) -> None:
    (tmp_path / "bom.yaml").write_text(MINIMAL, encoding="utf-8-sig")
    assert load_config(tmp_path / "bom.yaml", ENVIRON).account.id == 1


@given(st.text(max_size=60), st.integers(0, 3))
def test_whatever_the_text_the_answer_is_a_config_or_one_line(text: str, indent: int) -> None:
    for whole in (text, MINIMAL + text, f"{MINIMAL}risk:\n{' ' * indent}{text}"):
        try:
            assert isinstance(parsed(whole), Config)
        except ConfigError as error:
            assert "\n" not in str(error)


@settings(max_examples=20)
@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=5), lambda x: st.lists(x, max_size=2)))
def test_whatever_the_value_of_a_key_the_answer_is_a_config_or_one_line(value: Any) -> None:
    for section, model in ((n, f.annotation) for n, f in Config.model_fields.items()):
        keys = model.model_fields if isinstance(model, type) and issubclass(model, BaseModel) else [None]
        for key in keys:
            if (section, key) == ("account", "id") or section == "symbols":
                continue
            tree = {"account": {"id": 1}, "symbols": {"EURUSD": {}}}
            tree.setdefault(section, {}).update({key: value}) if key else tree.update({section: value})
            try:
                parsed(yaml.safe_dump(tree))
            except ConfigError as error:
                assert re.match(r"bot\.yaml:\d+: ", str(error))


def test_the_effective_config_loads_again_to_the_same_rules() -> None:
    config = parsed(MINIMAL + "strategy: {name: constant}\nsizing: {warm_up_s: 7}")
    again = parsed(yaml.safe_dump(redacted(config)))
    assert again.effective_sizing() == config.effective_sizing()
    assert again.risk == config.risk


def test_sizing_rules_are_off_for_constant_unless_given() -> None:
    off = SizingRules(0.0, 0.0, None, 0.0, calendar=False, time_of_day=False, crisis=True)
    assert parsed(MINIMAL + "strategy: {name: constant}").effective_sizing() == off
    given_rules = parsed(MINIMAL + "strategy: {name: constant}\nsizing: {warm_up_s: 60, band: auto}").effective_sizing()
    assert (given_rules.warm_up_s, given_rules.band, given_rules.persistence_s) == (60.0, "auto", 0.0)
    full = SizingRules(60.0, 30.0, 0.25, "auto", calendar=True, time_of_day=True, crisis=True)
    assert parsed(MINIMAL).effective_sizing() == full


def test_a_strategy_that_a_package_offers_is_known_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    text = MINIMAL + "strategy: {name: carry}"
    assert "unknown strategy 'carry'" in refusal(text)
    monkeypatch.setattr("bot.config.rules.entry_points", lambda group, name: [name] if name == "carry" else [])
    assert parsed(text).strategy.name == "carry"


def test_the_built_strategies_are_those_that_the_package_has() -> None:
    assert set(BUILT_STRATEGIES) == set(strategies.BUILT_IN)


def test_a_key_without_effect_is_warned_about_and_one_that_asks_for_nothing_is_not() -> None:
    quiet = "sizing: {crisis: false}\n"
    assert check_supported(parsed(MINIMAL + "strategy: {name: constant}\n" + quiet)) == []
    loud = parsed(MINIMAL + "strategy: {name: liquidity-weighted}\nmanage: all\nrisk: {min_margin_level_frac: 0.5}")
    keys = [warning.split(":")[0] for warning in check_supported(loud)]
    assert keys == [
        "risk.min_margin_level_frac",
    ]  # fmt: skip


LIVE = MINIMAL + "venue: {environment: live}\nmode: trade\n"


def test_live_trading_needs_a_loss_limit_in_the_file_and_the_flag() -> None:
    limited = parsed(LIVE + "risk: {max_drawdown_frac: 0.05}")
    check_live(limited, live_flag=True)
    with pytest.raises(ConfigError, match=r"^bot\.yaml:4: mode: is trade on a live account; add --live"):
        check_live(limited, live_flag=False)
    with pytest.raises(ConfigError, match="needs a loss limit of your own: write max_daily_loss_frac or max_drawdown"):
        check_live(parsed(LIVE + "risk: {max_leverage: 1}"), live_flag=True)
    assert refusal(LIVE.replace("account: {id: 1}", "")).endswith(
        "account.id: is missing; it is required for live (`microlev auth accounts CONFIG` lists yours)"
    )


@pytest.mark.parametrize("live_flag", [True, False])
def test_the_flag_has_no_effect_without_trading_or_off_the_live_environment(live_flag: bool) -> None:
    check_live(parsed(LIVE).as_dry_run(), live_flag)
    check_live(parsed(MINIMAL + "mode: trade"), live_flag)
    check_live(parsed("symbols: {A: }\nmode: trade\nvenue: {environment: simulator}"), live_flag)


def test_a_dry_run_copy_keeps_everything_else() -> None:
    config = parsed(LIVE + "risk: {max_drawdown_frac: 0.05}")
    assert config.as_dry_run().model_dump() == {**config.model_dump(), "mode": "dry-run"}
    assert str(config.as_dry_run().error_at("mode", "x")) == "bot.yaml:4: mode: x"


def test_a_copy_without_recording_keeps_everything_else() -> None:
    config = parsed(LIVE + "recording: {directory: journals}")
    assert config.without_recording().recording.directory is None
    recording = config.recording.model_dump() | {"directory": None}
    assert config.without_recording().model_dump() == {**config.model_dump(), "recording": recording}


class _Anything(dict[str, str]):
    """An environment in which every variable is set, to something that serves as text and as a number."""

    def get(self, key: str, default: Any = None) -> str:
        return "1"


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.name)
def test_a_shipped_config_loads_and_is_supported(path: Path) -> None:
    config = load_config(path, _Anything())
    check_supported(config)
    check_live(config, live_flag=True)


def test_the_shipped_configs_are_as_safe_as_they_say() -> None:
    assert load_config(CONFIGS / "demo.yaml", _Anything()).mode == "dry-run"
    with pytest.raises(ConfigError, match="add --live"):
        check_live(load_config(CONFIGS / "live.example.yaml", _Anything()), live_flag=False)


PRESETS = ("fx_majors", "gold", "crypto", "indices", "mispricing", "high_frequency")


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_sends_nothing_asks_for_nothing_that_is_missing_and_bounds_its_losses(name: str) -> None:
    config = load_config(CONFIGS / f"{name}.yaml", _Anything())
    assert (config.venue.environment, config.mode) == ("demo", "dry-run")
    assert check_supported(config) == []
    assert {"max_daily_loss_frac", "max_drawdown_frac", "max_leverage"} <= config.risk.model_fields_set
    wanted = sum(config.strategy.base_leverage * symbol.weight for symbol in config.symbols.values())
    assert wanted <= config.risk.max_leverage
    assert config.sizing.crisis


def test_every_key_is_described_in_the_schema() -> None:
    schema = Config.model_json_schema()
    models = [schema, *schema["$defs"].values()]
    described = [
        "description" in field or "description" in schema["$defs"][field["$ref"].removeprefix("#/$defs/")]
        for model in models
        for field in model["properties"].values()
    ]
    assert len(described) > 40
    assert all(described)
    assert all(model["additionalProperties"] is False for model in models)
    assert schema["required"] == ["symbols"]
