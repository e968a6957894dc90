"""A config becomes the settings of a run: every key that has an effect arrives, and nothing secret goes further."""

import json
from pathlib import Path

import numpy as np
import pytest

from bot.assembly import (
    Run,
    assemble,
    engine_settings,
    journal_header,
    keep_usual,
    new_run_id,
    open_journal,
    open_ledger,
    state_directory,
)
from bot.config import Config, ConfigError, parse_config
from bot.config.secrets import ClientSecrets, Token
from bot.engine.events import UsualRestored
from bot.journal.reader import JournalReader
from bot.market.evaluator import Evaluator, EvaluatorSettings

CLIENT = ClientSecrets("the-client", "the-client-secret")
TOKEN = Token("the-access-token", "the-refresh-token")


def config(text: str = "", *, strategy: str = "{name: liquidity-weighted}") -> Config:
    head = f"venue: {{environment: simulator}}\nsymbols: {{EURUSD: {{direction: long}}}}\nstrategy: {strategy}\n"
    return parse_config(head + text, "test.yaml", {})


def test_the_keys_of_sizing_risk_and_execution_reach_the_engine() -> None:
    text = (
        "sizing: {warm_up_s: 7, persistence_s: 3, max_increase_frac_per_min: 0.5, band: 0.2}\n"
        "risk: {max_leverage: 6, max_symbol_leverage: 4, max_margin_use_frac: 0.3, min_margin_level_frac: 2,\n"
        "       max_orders_per_minute: 9, stale_quote_s: 2, max_daily_loss_frac: 0.03, max_drawdown_frac: 0.2,\n"
        "       on_loss_limit: halt}\n"
        "execution: {order_type: market, max_slippage_bps: 3, min_interval_s: 4, order_timeout_s: 5, settle_s: 6}\n"
        "on_stop: flatten\non_manual_close: reopen\nmanage: all\n"
    )
    s = engine_settings(config(text), "r")
    assert (s.pace.warm_up_s, s.pace.persistence_s, s.pace.max_increase_frac_per_min, s.pace.band_frac) == (
        7,
        3,
        0.5,
        0.2,
    )
    limits = s.risk_limits
    assert (limits.max_leverage, limits.max_symbol_leverage, limits.max_margin_use_frac) == (6, 4, 0.3)
    assert (limits.min_margin_level_frac, limits.max_orders_per_minute, limits.stale_quote_s) == (2, 9, 2)
    assert (s.leverage_limits.max_leverage, s.leverage_limits.max_symbol_leverage) == (6, 4)
    assert (s.max_daily_loss_frac, s.max_drawdown_frac, s.flatten_on_loss) == (0.03, 0.2, False)
    assert (s.style.order_type, s.style.max_slippage_bps) == ("market", 3)
    assert (s.min_interval_s, s.order_timeout_s, s.settle_s) == (4, 5, 6)
    assert (s.flatten_on_stop, s.respect_manual_close, s.manage_all) == (True, False, True)


def test_constant_has_no_pace_unless_the_file_gives_one() -> None:
    plain = engine_settings(config(strategy="{name: constant}"), "r").pace
    assert (plain.warm_up_s, plain.persistence_s, plain.max_increase_frac_per_min, plain.band_frac) == (0, 0, None, 0)
    assert engine_settings(config("sizing: {band: 0.3}", strategy="{name: constant}"), "r").pace.band_frac == 0.3


def test_parameters_go_to_the_strategy_and_to_the_evaluator() -> None:
    given = "{name: liquidity-weighted, parameters: {alpha: 1, liquidity_base_s: 60, liquidity_smoothing_s: 2}}"
    s = engine_settings(config(strategy=given), "r")
    assert s.strategy.alpha == 1  # type: ignore[attr-defined]
    assert (s.evaluator.liquidity_base_half_life_s, s.evaluator.liquidity_smoothing_half_life_s) == (60, 2)


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        (
            "{alhpa: 1}",
            "no parameter 'alhpa' (did you mean alpha?); it has: alpha, floor, cap; every strategy takes: liquidity_b",
        ),
        ("{exit_cost_bps: 5}", "no parameter 'exit_cost_bps' (did you mean exit_cost_cap_bps?); it has: alpha"),
        ("{spread: 5}", "(did you mean spread_s?)"),
        ("{qqq: 5}", "no parameter 'qqq'; it has: alpha, floor, cap; every strategy takes: "),
        ("{alpha: yes}", "must be a number"),
        ("{alpha: -1}", "alpha > 0"),
        ("{liquidity_base_s: 0}", "number above 0"),
        ("{liquidity_smoothing_s: soon}", "number above 0"),
    ],
)
def test_a_wrong_parameter_is_one_line_that_names_it(parameters: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        engine_settings(config(strategy=f"{{name: liquidity-weighted, parameters: {parameters}}}"), "r")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_parameter_of_a_strategy_file_names_the_file_and_what_every_strategy_takes(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "def leverage(features, base, *, share=1.0):\n    return base\n", encoding="utf-8"
    )
    given = f"{{name: {tmp_path / 'mine.py'}, parameters: {{flow: 5}}}}"
    with pytest.raises(ConfigError) as caught:
        engine_settings(config(strategy=given), "r")
    assert str(caught.value).startswith("test.yaml:3: strategy.parameters: ")
    said = f"{tmp_path / 'mine.py'}: strategy mine has no parameter 'flow' (did you mean flow_s?); it has: share; every"
    assert said in str(caught.value)
    assert str(caught.value).endswith("exit_cost_cap_bps")


def test_the_cost_aware_band_and_the_crisis_guard_are_what_the_config_says() -> None:
    default = engine_settings(config(), "r")
    assert (default.pace.band_frac, default.pace.heeds_crisis) == (None, True)
    assert default.leverage_limits.stop_out_level_frac == 0.5
    given = engine_settings(config("sizing: {crisis: false}\nrisk: {stop_out_level_frac: 0.3}"), "r")
    assert (given.pace.heeds_crisis, given.leverage_limits.stop_out_level_frac) == (False, 0.3)


SIZES = "def leverage(features, base):\n    return base * 0.5\n"


def test_a_strategy_file_is_a_strategy(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(SIZES, encoding="utf-8")
    strategy = engine_settings(config(strategy=f"{{name: {tmp_path / 'mine.py'}, on_error: flatten}}"), "r").strategy
    assert (strategy.name, strategy.factor_names) == ("mine", ("leverage",))
    rest = strategy.factors(np.zeros(3), np.zeros(3))  # no table at all: an error, so what `on_error` says
    assert rest.tolist() == [[0.0, 0.0, 0.0]]


@pytest.mark.parametrize(
    ("text", "choice", "says"),
    [
        (SIZES, "direction: signal", "symbols.EURUSD.direction: is 'signal', but the strategy 'mine' has no direction"),
        ("import nothing_there\n", "", "mine.py:1: ModuleNotFoundError: No module named 'nothing_there'"),
        ("def leverage(features, base)\n", "", "mine.py:1: SyntaxError: expected ':'"),
    ],
)
def test_a_strategy_file_that_does_not_fit_is_one_line(tmp_path: Path, text: str, choice: str, says: str) -> None:
    (tmp_path / "mine.py").write_text(text, encoding="utf-8")
    given = f"symbols: {{EURUSD: {{{choice}}}}}\nstrategy: {{name: {tmp_path}/mine.py}}"
    with pytest.raises(ConfigError) as caught:
        engine_settings(parse_config(f"venue: {{environment: simulator}}\n{given}", "test.yaml", {}), "r")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_symbol_that_a_strategy_needs_must_be_traded() -> None:
    with pytest.raises(ConfigError, match="strategy mispricing needs XAUUSD, GOLD among the symbols"):
        engine_settings(config(strategy="{name: mispricing, parameters: {basis: XAUUSD/GOLD}}"), "r")


def test_targets_can_be_approached_by_orders_that_rest() -> None:
    assert engine_settings(config("execution: {order_type: limit}"), "r").style.order_type == "limit"


def test_a_dry_run_keeps_orders_from_the_session_and_needs_no_trade_scope() -> None:
    assert not assemble(config(), CLIENT, TOKEN, "r").session.plan.trade
    assert assemble(config("mode: trade"), CLIENT, TOKEN, "r").session.plan.trade


def test_run_ids_differ_and_fit_into_a_client_order_id() -> None:
    ids = {new_run_id() for _ in range(50)}
    assert len(ids) == 50
    assert max(map(len, ids)) <= 30


def test_the_journal_header_builds_the_same_settings_again_and_holds_no_secret(tmp_path: Path) -> None:
    for strategy in ("{name: constant}", "{name: liquidity-weighted}"):
        original = parse_config(
            "venue: {environment: simulator}\nsymbols: {EURUSD: }\n"
            f"strategy: {strategy}\ncredentials: {{client_id: a, client_secret: very-secret, access_token: token-1}}\n",
            "test.yaml",
            {},
        )
        header = json.loads(json.dumps(journal_header(original, assemble(original, CLIENT, TOKEN, "r").session.plan)))
        assert "very-secret" not in str(header)
        assert "token-1" not in str(header)
        assert TOKEN.access_token not in str(header)
        again = Config.model_validate(header["config"])
        assert engine_settings(again, "r") == engine_settings(original, "r")


def test_a_journal_is_opened_in_a_folder_that_is_made(tmp_path: Path) -> None:
    run = assemble(config(), CLIENT, TOKEN, new_run_id())
    open_journal(run, tmp_path / "a" / "b", CLIENT, TOKEN)
    assert run.journal is not None
    run.journal.close(1, {})
    with JournalReader(run.journal.path) as reader:
        assert reader.header["run_id"] == run.run_id


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    run = assemble(config(f"state: {{directory: {tmp_path / 'file' / 'state'}}}"), CLIENT, TOKEN, "r")
    with pytest.raises(ConfigError, match="the journal cannot be written"):
        open_journal(run, tmp_path / "file" / "journals", CLIENT, TOKEN)
    with pytest.raises(ConfigError, match="the ledger cannot be opened"):
        open_ledger(run)


def test_state_is_kept_by_account_unless_the_config_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert state_directory(config("account: {id: 5}")) == tmp_path / "microlev" / "simulator-5"
    assert state_directory(config("state: {directory: /somewhere}")) == Path("/somewhere")


def usual_of(tmp_path: Path, content: str | None, *, more: str = "") -> tuple[list[object], list[str], bool]:
    """Return the events, the lines and whether anything is kept, for a state folder with this file of usual values."""
    if content is not None:
        (tmp_path / "usual.json").write_text(content, encoding="utf-8")
    run = assemble(config(f"state: {{directory: '{tmp_path}'}}\n{more}"), CLIENT, TOKEN, "r")
    said: list[str] = []
    events, keeper = keep_usual(run, said.append)
    return list(events), said, keeper is not None


def test_without_a_file_of_usual_values_a_run_begins_to_learn(tmp_path: Path) -> None:
    assert usual_of(tmp_path, None) == ([], [], True)
    assert usual_of(tmp_path, None, more="sizing: {time_of_day: false}\n") == ([], [], False)


def test_accounts_that_share_a_state_folder_keep_their_usual_values_apart(tmp_path: Path) -> None:
    def run(account_id: int) -> Run:
        given = f"account: {{id: {account_id}}}\nstate: {{directory: '{tmp_path}'}}"
        return assemble(config(given), CLIENT, TOKEN, "r")

    learnt = Evaluator(np.ones(1), EvaluatorSettings()).usual_content(0)
    for account_id, symbol in ((5, "EURUSD"), (6, "USDJPY")):
        ended = run(account_id)
        _, keeper = keep_usual(ended, lambda line: None)
        assert keeper is not None
        ended.engine.receive(UsualRestored(0, {symbol: learnt}))
        keeper.write()
    for account_id, symbol in ((5, "EURUSD"), (6, "USDJPY")):
        ((event,), _) = keep_usual(run(account_id), lambda line: None)
        assert isinstance(event, UsualRestored) and list(event.contents) == [symbol]


def test_a_symbol_whose_usual_values_cannot_be_used_is_named_and_the_others_are_told(tmp_path: Path) -> None:
    known = assemble(config(), CLIENT, TOKEN, "r").engine
    assert known.usual() == {}
    good = Evaluator(np.ones(1), EvaluatorSettings()).usual_content(0)
    symbols = {"EURUSD": good, "USDJPY": {"overall": "soon"}}
    text = json.dumps({"kind": "microlev usual values", "version": 1, "symbols": symbols})
    (event,), (line,), keeps = usual_of(tmp_path, text)
    assert list(event.contents) == ["EURUSD"]  # type: ignore[attr-defined]
    assert "USDJPY cannot be used" in line
    assert keeps
