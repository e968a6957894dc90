"""Configs that are run side by side: what they must share, and what they must not."""

from pathlib import Path

import pytest

from bot.config import Config, ConfigError, check_together, parse_config

ONE = "account: {id: 1}\nsymbols: {EURUSD: {}}\n"


def configs(*texts: str) -> list[Config]:
    return [parse_config(text, f"{i}.yaml", {}) for i, text in enumerate(texts, 1)]


def refusal(*texts: str) -> str:
    with pytest.raises(ConfigError) as caught:
        check_together(configs(*texts))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def of(account: int, more: str = "") -> str:
    return ONE.replace("id: 1", f"id: {account}") + more


def test_configs_of_different_accounts_with_folders_of_their_own_may_run_together(tmp_path: Path) -> None:
    check_together(configs(of(1), of(2), of(3, f"state: {{directory: '{tmp_path / 'a'}'}}")))


@pytest.mark.parametrize("second", ["{folder}", "{folder}/", "{folder}/x/..", "{link}"])
def test_one_folder_for_the_state_of_two_accounts_is_refused(tmp_path: Path, second: str) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "state")
    other = second.format(folder=tmp_path / "state", link=tmp_path / "link")
    told = refusal(
        of(1, f"state: {{directory: '{tmp_path / 'state'}'}}"), of(2), of(3, f"state: {{directory: '{other}'}}")
    )
    assert told.startswith("3.yaml:3: state.directory: ")
    assert "is that of account 1 already" in told
    assert "name another, or leave it out" in told


def test_one_account_twice_and_different_venues_are_refused() -> None:
    assert "1 is in another of these configs already" in refusal(of(1), of(1))
    assert "one connection has one venue" in refusal(of(1), of(2, "venue: {environment: live}"))
