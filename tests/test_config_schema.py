"""The schemas for editors: they take every file that we ship, refuse what the loader refuses, and are named in each."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from schema_check import faults_of

from bot.cli.main import main
from bot.config import ConfigError, parse_config
from bot.config.schema import SCHEMA_KINDS, file_schema

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = ROOT / "config"
FILES = [path for path in sorted(CONFIGS.rglob("*.yaml")) if path.parent.name != "releases"]
SCHEMAS = {kind: file_schema(kind) for kind in SCHEMA_KINDS}
SMALL = "account: {id: 1}\nsymbols: {EURUSD: {}}\n"


def wrong(text: str, kind: Any = "config") -> list[str]:
    """Return what an editor would mark in a text."""
    schema = SCHEMAS[kind]
    loader: Any = type("Loader", (yaml.SafeLoader,), {})
    # As an editor's YAML 1.2: a time is text.
    loader.add_constructor("tag:yaml.org,2002:timestamp", yaml.SafeLoader.construct_yaml_str)
    return faults_of(yaml.load(text, loader), schema, schema["$defs"])


def kind_of(path: Path) -> str:
    return {"faults": "faults", "sweeps": "ranges"}.get(path.parent.name, "config")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CONFIGS)))
def test_every_file_names_its_schema_first_and_fits_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    named = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
    assert named is not None
    assert (path.parent / named[1]).resolve() == CONFIGS / "schema" / f"{kind_of(path)}.json"
    assert wrong(text, kind_of(path)) == []


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ("moed: trade", ".moed"),
        ("mode: trad", ".mode"),
        ("risk: {max_leverage: 0}", ".risk.max_leverage"),
        ("risk: {max_margin_use_frac: 1.5}", ".risk.max_margin_use_frac"),
        ("risk: {max_margin_use_frac: much}", ".risk.max_margin_use_frac"),
        ("risk: {max_orders_per_minute: 1.5}", ".risk.max_orders_per_minute"),
        ("sizing: {crisis: 1}", ".sizing.crisis"),
        ("sizing: {band: wide}", ".sizing.band"),
        ("telemetry: {every_s: 0.01}", ".telemetry.every_s"),
        ("alerts: {events: [halt]}", ".alerts.events.0"),
        ("venue: {port: 70000}", ".venue.port"),
        ("risk: {leverage_bands: [{equity_from: 1}]}", ".risk.leverage_bands.0.leverage"),
    ],
)
def test_what_the_loader_refuses_in_one_key_an_editor_marks(more: str, where: str) -> None:
    with pytest.raises(ConfigError, match=r"config:\d+: "):
        parse_config(SMALL + more, "config", {})
    (found,) = wrong(SMALL + more)
    assert found.partition(":")[0] == where


@pytest.mark.parametrize(
    ("more", "environ"),
    [
        ("venue: {environment: simulator}\ntelemetry:\nalerts:\n", {}),
        ("recording: {directory: ~, max_disk_gb: null}", {}),
        ("venue:\n  port: ${PORT}\n", {"PORT": "5"}),
        ("sizing:\n  crisis: ${GUARD}\n", {"GUARD": "true"}),
        ("risk: {leverage_windows: [{at: 2026-12-04T13:30:00Z, leverage: 50}]}", {}),
    ],
)
def test_what_the_loader_takes_an_editor_takes(more: str, environ: dict[str, str]) -> None:
    if "GUARD" not in environ:  # text is no true or false; a variable may stand there, and be refused
        parse_config(SMALL + more, "config", environ)
    assert wrong(SMALL + more) == []


def test_symbols_need_no_keys_and_there_is_at_least_one() -> None:
    assert wrong("symbols: {EURUSD: }") == []
    assert wrong("symbols: {}") == [".symbols: is empty"]
    assert wrong("account: {id: 1}") == [".symbols: is missing"]


@pytest.mark.parametrize("entry", ["at: 10", "at: 10x", "on_request: []", "for: 1m", "probability: 2", "latency: 3"])
def test_a_fault_that_cannot_be_read_is_marked(entry: str) -> None:
    fault = {"at": "10s", "drop": None} | yaml.safe_load(entry)
    assert bool(wrong(yaml.safe_dump({"faults": [fault]}), "faults")) == (entry != "for: 1m")


def test_every_key_of_a_config_has_a_description_and_what_is_not_json_schema_is_gone() -> None:
    schema = SCHEMAS["config"]
    for model in (schema, *schema["$defs"].values()):
        assert model["additionalProperties"] is False and model["description"]
        assert all(each["description"] for each in model["properties"].values())
    for each in SCHEMAS.values():
        assert not re.search(r'"(gt|ge|lt|le)"', json.dumps(each))
    assert str(Path.home()) not in json.dumps(SCHEMAS)


def test_the_command_prints_each_and_refuses_another(capsys: pytest.CaptureFixture[str]) -> None:
    for kind, schema in SCHEMAS.items():
        assert main(["schema", kind]) == 0
        assert json.loads(capsys.readouterr().out) == schema
    assert main(["schema", "releases"]) == 2
    assert "config, faults, ranges" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["demo.yaml", "live.example.yaml"])
def test_sections_that_are_commented_out_are_right_when_they_are_taken_in(name: str) -> None:
    text = re.sub(r"^#(?=\S+:|  \S+:|    - )", "", (CONFIGS / name).read_text(encoding="utf-8"), flags=re.MULTILINE)
    names = dict.fromkeys(re.findall(r"\$\{(\w+)\}", text), "1")
    config = parse_config(text, name, names)
    assert config.telemetry.enabled and config.alerts.urls and wrong(text) == []
