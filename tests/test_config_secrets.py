"""Secrets: they are found where they should be, and never show anywhere."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from bot.config import Config, ConfigError, client_secrets, load_token, parse_config, redacted

MINIMAL = "account: {id: 1}\nsymbols: {EURUSD: {}}\n"


def parsed(text: str, environ: Mapping[str, str] | None = None) -> Config:
    return parse_config(text, "bot.yaml", environ or {})


def refusal(text: str, environ: Mapping[str, str]) -> str:
    with pytest.raises(ConfigError) as caught:
        parsed(text, environ)
    return str(caught.value)


SECRETS = ("s3cret-id", "s3cret-client", "s3cret-token", "s3cret-refresh")


def _secret_config() -> Config:
    return parsed(
        MINIMAL + "strategy: {name: constant}\ncredentials: {client_id: ${A}, client_secret: ${B}, access_token: ${C}}",
        dict(zip("ABC", SECRETS, strict=False)),
    )


def test_secrets_never_show_in_repr_text_or_the_effective_config() -> None:
    config = _secret_config()
    shown = [repr(config), str(config), str(config.credentials), json.dumps(redacted(config)), config.model_dump_json()]
    shown += [repr(client_secrets(config)), repr(load_token(config)), yaml.safe_dump(redacted(config))]
    assert not [text for text in shown if any(secret in text for secret in SECRETS)]
    assert redacted(config)["credentials"]["access_token"] == "**********"
    assert redacted(parsed(MINIMAL, {}))["credentials"]["client_id"] is None


@pytest.mark.parametrize(
    "text",
    [
        "credentials: {client_id: 12345678}",
        "credentials: {client_secret: [s3cret-client]}",
        "credentials: {access_token: {s3cret-token: 1}}",
        "credentials: {client_id: true, client_secret: s3cret-client}",
        "venue: {port: ${SECRET}}",
        "venue: {environment: ${SECRET}}",
        "risk: ${SECRET}",
        "strategy: {name: constant}\nsizing: {band: ${SECRET}}",
    ],
)
def test_an_error_does_not_repeat_what_may_be_a_secret(text: str) -> None:
    line = refusal(MINIMAL + text, {"SECRET": "s3cret-client"})
    assert "12345678" not in line
    assert not re.search(r"s3cret-client|: 1\}", line)


def _with_token_file(path: Path, content: str, mode: int = 0o600) -> Config:
    path.write_text(content, encoding="utf-8")
    path.chmod(mode)
    return parsed(MINIMAL + f"credentials: {{token_file: '{path}'}}")


def test_a_token_file_is_read(tmp_path: Path) -> None:
    content = {"access_token": "a", "refresh_token": "r", "expires_at": 1767225600}
    token = load_token(_with_token_file(tmp_path / "t.json", json.dumps(content)))
    assert (token.access_token, token.refresh_token, token.expires_at) == ("a", "r", 1767225600.0)
    token = load_token(_with_token_file(tmp_path / "t.json", '{"access_token": "a"}'))
    assert (token.refresh_token, token.expires_at) == (None, None)


def test_a_token_given_directly_wins_over_the_file() -> None:
    token = load_token(_secret_config())
    assert (token.access_token, token.refresh_token, token.expires_at) == ("s3cret-token", None, None)


@pytest.mark.skipif(os.name != "posix", reason="Windows has no mode bits to check")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o611])
def test_a_token_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "t.json"
    with pytest.raises(ConfigError) as caught:
        load_token(_with_token_file(path, '{"access_token": "s3cret-token"}', mode))
    assert str(caught.value) == f"{path}: others can read the token file (mode {mode:04o}); run: chmod 600 {path}"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", r"t\.json:1: the token file is not JSON"),
        ("[]", "should hold one JSON object"),
        ("{}", "access_token is missing"),
        ('{"access_token": 5}', "access_token is missing; it should be text"),
        ('{"access_token": "s3cret-token", "refresh_token": 5}', "refresh_token should be text or null"),
        ('{"access_token": "s3cret-token", "expires_at": "soon"}', "expires_at should be seconds since 1970"),
        ('{"access_token": "s3cret-token", "expires_at": true}', "expires_at should be seconds since 1970"),
    ],
)
def test_a_malformed_token_file_is_one_line_without_the_token(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        load_token(_with_token_file(tmp_path / "t.json", content))
    assert "s3cret-token" not in str(caught.value)


def test_without_token_and_token_file_the_error_says_what_to_write(tmp_path: Path) -> None:
    config = parsed(MINIMAL + f"credentials: {{token_file: '{tmp_path / 'none.json'}'}}")
    with pytest.raises(
        ConfigError, match=r"^bot\.yaml:3: credentials: no access token: .*none\.json; get one with: microlev auth"
    ):
        load_token(config)
    with pytest.raises(ConfigError, match="the token file cannot be read"):
        load_token(parsed(MINIMAL + f"credentials: {{token_file: '{tmp_path}'}}"))
