"""`microlev backtest`: what it refuses, in one line, and one run of it from end to end."""

import json
from pathlib import Path

import pytest
from recordings import QUOTES, recording

from bot.cli.main import main
from bot.config import ConfigError
from bot.config.releases import load_releases

CONFIG = "symbols: {EURUSD: {}}\nstrategy: {name: composite, base_leverage: 2}\n"
SHORT = ["--from", "2026-01-05T00:00", "--to", "2026-01-05T00:04"]
CALM = ["--data", "synthetic:calm"]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.yaml").write_text(CONFIG)
    return "my.yaml"


def line(capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one line that was said on standard error."""
    said = capsys.readouterr()
    assert said.out == ""
    (only,) = said.err.strip().splitlines()
    return only


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data", "nowhere.parquet"], "nowhere.parquet"),
        (["--data", "damaged.parquet"], "damaged.parquet"),
        (["--data", "foreign.parquet"], "foreign.parquet"),
        (["--data", "synthetic:clam"], "unknown scenario 'clam'"),
        ([*CALM, *CALM], "EURUSD is in two sources"),
        ([*CALM, "--compare", "composit"], "unknown arm 'composit'; there are: all, constant"),
        ([*CALM, "--compare", "composite", "--signals", "momentum"], "unknown signal 'momentum'"),
        ([*CALM, "--compare", "constant"], "nothing to compare"),
        ([*CALM, "--compare", ","], "names nothing"),
        ([*CALM, "--compare", "all", *SHORT], "too few days: quotes on 2026-01-05, and backtest.calibration_days"),
        ([*CALM, "--from", "2027-01-01"], "from 2026-01-05T00:00:00.000Z to"),
        ([*CALM, "--from", "2026-01-05", "--to", "2026-01-05"], "not after"),
        ([*CALM, "--events", "none.yaml"], "none.yaml: no such file"),
        ([*CALM, "--out", "taken"], "taken holds something else (mine.txt)"),
        ([*CALM, "--report", "there.html"], "there.html is there already"),
    ],
)
def test_what_cannot_be_run_is_told_in_one_line(
    arguments: list[str], words: str, config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    (tmp_path / "damaged.parquet").write_bytes(b"PAR1 and no more")
    pq.write_table(pa.table({"weather": [1.0]}), tmp_path / "foreign.parquet")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine.txt").write_text("mine")
    (tmp_path / "there.html").write_text("mine")
    assert main(["backtest", config, *arguments]) == 2
    assert words in line(capsys)
    assert (tmp_path / "there.html").read_text() == "mine"


def test_a_symbol_without_source_and_a_config_that_cannot_be_are_told(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "two.yaml").write_text("symbols: {EURUSD: {}, EURCHF: {}}\n")
    assert main(["backtest", "two.yaml", *CALM]) == 2
    assert "no source has EURCHF" in line(capsys)
    (tmp_path / "odd.yaml").write_text(CONFIG + "backtest: {latency: soon}\n")
    assert main(["backtest", "odd.yaml", *CALM]) == 2
    assert "odd.yaml:3: backtest.latency" in line(capsys)
    assert not list(tmp_path.glob("backtest-*"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "should be a list"),
        ("a: [", "is not valid YAML"),
        ("- {name: x}", "entry 1: needs time and name"),
        ("- {time: 2014-05-02T12:30:00Z, name: x, begin: 1}", "unknown key 'begin'"),
        ("- {time: 2014-05-02T12:30:00, name: x}", "names no time zone"),
        ("- {time: soon, name: x}", "time 'soon' is none"),
        ("- {time: 2014-05-02T12:30:00Z, name: 3}", "name must be a text"),
        ("- {time: 2014-05-02T12:30:00Z, name: x, after: -1}", "after must be minutes"),
        ("- {time: 2014-05-02T12:30:00Z, name: x, after: 0, before: 0}", "no time at all"),
    ],
)
def test_a_list_of_events_that_cannot_be_read_is_told_with_its_entry(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "events.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words) as told:
        load_releases(path)
    assert "events.yaml" in str(told.value)


def test_the_events_that_come_with_the_project_are_those_of_the_recording() -> None:
    listed = load_releases(Path(__file__).parents[2] / "config" / "releases" / "2014-05.yaml")
    assert [release.name for release in listed] == ["payrolls", "ECB decision", "ECB press conference"]
    assert listed[0].time_ns == 1_399_033_800_000_000_000
    assert (listed[0].before_minutes, listed[2].after_minutes) == (5, 60)


@pytest.mark.slow
def test_a_run_is_told_kept_and_not_run_again(config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["backtest", config, *CALM, *SHORT]
    assert main(command) == 0
    told = capsys.readouterr().out
    for words in ("net return", "Sharpe", "exit cost p99", "refusals", "venue agree to the cent", "a second"):
        assert words in told
    (folder,) = tmp_path.glob("backtest-my-*")
    kept = (folder / "run.npz").stat().st_mtime_ns
    assert main([*command, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["type"] == "backtest"
    assert answer["rows_per_s"] is None  # it was there
    assert answer["summary"]["costs"]["fills"] > 0
    assert (folder / "run.npz").stat().st_mtime_ns == kept
    (tmp_path / "my.yaml").write_text(CONFIG.replace("leverage: 2", "leverage: 3"))
    assert main([*command, "--out", folder.name]) == 2
    assert "runs of other inputs (config)" in line(capsys)
    assert main([*command, "--out", folder.name, "--force"]) == 0


@pytest.mark.slow
def test_quotes_with_made_up_depth_are_called_semi_synthetic(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--data", str(recording(QUOTES)), "--from", "2014-05-05T10:00", "--to", "2014-05-05T10:05"]
    assert main(["backtest", config, *data]) == 0
    assert "semi-synthetic" in capsys.readouterr().out


@pytest.mark.slow
def test_a_comparison_is_told_for_people_and_as_json_lines(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my.yaml").write_text(CONFIG.replace("composite", "constant") + "backtest: {calibration_days: 1}\n")
    data = ["--data", str(recording(QUOTES)), "--from", "2014-05-05T23:30", "--to", "2014-05-06T00:20"]
    command = ["backtest", config, *data, "--compare", "liquidity-weighted,config", "--signals", "random"]
    assert main(command) == 0
    said = capsys.readouterr()
    for words in ("primary figure: net_sharpe", "semi-synthetic", "matched by mean leverage", "verdict: config is"):
        assert words in said.out
    assert "reference-random-constant: done" in said.err
    assert main([*command, "--json"]) == 0
    lines = [json.loads(each) for each in capsys.readouterr().out.splitlines()]
    kinds = [each["type"] for each in lines]
    assert (kinds.count("comparison"), kinds.count("arm"), kinds.count("judged")) == (1, 6, 2)
    (first, second) = (each["superior"] for each in lines if each["type"] == "judged")
    assert first == second and [(each["benchmark"], each["tables"]) for each in first] == [("constant", 2)]
    assert said.out.count("superior ability against constant, over 4 arms of all 2 tables together") == 1
    arms = {each["arm"]: each for each in lines if each["type"] == "arm" and each["matching"] == "mean leverage"}
    # The config's own strategy is the constant one, and every rule of sizing is in force for both.
    assert arms["config"]["summary"]["performance"] == arms["constant"]["summary"]["performance"]
    assert arms["config"]["scale"] == pytest.approx(1.0)


def _ticks(path: Path, begin_s: int, seconds: int) -> str:
    import pyarrow as pa
    import pyarrow.parquet as pq

    ts_us = [(begin_s + i) * 1_000_000 for i in range(0, seconds, 60)]
    prices = [1.1 + 1e-5 * (i % 7) for i in range(len(ts_us))]
    pq.write_table(pa.table({"ts_us": ts_us, "bid": prices, "ask": [price + 2e-5 for price in prices]}), path)
    return str(path)


@pytest.mark.slow
def test_a_source_without_anything_in_the_time_is_refused_and_one_that_is_there_for_a_part_is_told_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monday_s, day_s = 1_767_571_200, 86_400
    config = tmp_path / "c.yaml"
    config.write_text(
        "venue: {environment: simulator}\nsymbols: {EURUSD: {direction: long}, GBPUSD: {direction: long}}\n"
        "backtest: {clock_s: 3600}\n"
    )
    all_along = _ticks(tmp_path / "fx_fxcm_EURUSD_2026-01.parquet", monday_s, 2 * day_s)
    late = _ticks(tmp_path / "fx_fxcm_GBPUSD_2026-01.parquet", monday_s + day_s, day_s)
    command = ["backtest", str(config), "--data", all_along, "--data", late, "--out", str(tmp_path / "out")]
    assert main([*command, "--to", "2026-01-06"]) == 2
    assert f"{late} has nothing of GBPUSD from --from to --to: it goes from 2026-01-06" in capsys.readouterr().err
    assert main([*command, "--from", "2026-01-05T17:00", "--to", "2026-01-06T00:05"]) == 0
    told = capsys.readouterr().err
    assert f"note: GBPUSD is there from 2026-01-06T00:00:00.000Z to 2026-01-06T23:59:00.000Z only: {late}" in told
    assert "EURUSD is there" not in told


@pytest.mark.slow
def test_days_without_a_file_in_a_folder_of_days_are_told_where_the_symbol_trades(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, folder = tmp_path / "c.yaml", tmp_path / "EURUSD"
    config.write_text(
        "venue: {environment: simulator}\nsymbols: {EURUSD: {direction: long}}\nbacktest: {clock_s: 3600}\n"
    )
    folder.mkdir()
    day_s, thursday_s = 86_400, 1_767_830_400
    for days in (0, 5):  # Friday, Monday and what is between them are not there
        name = "EURUSD_2026-01-08.parquet" if days == 0 else "EURUSD_2026-01-13.parquet"
        _ticks(folder / name, thursday_s + days * day_s, 3_600)
    command = ["backtest", str(config), "--data", str(folder), "--out", str(tmp_path / "out")]
    assert main([*command, "--to", "2026-01-08T00:30"]) == 0
    assert "has no file" not in capsys.readouterr().err
    assert main([*command, "--force"]) == 0
    told = capsys.readouterr().err
    assert f"note: {folder} has no file of 2 day(s): 2026-01-09, 2026-01-12" in told
