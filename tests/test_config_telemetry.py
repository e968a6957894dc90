"""The telemetry section: off by default, for this machine alone, and exposed with TLS or not at all."""

import os
from pathlib import Path

import pytest

from bot.config import Config, ConfigError, parse_config
from bot.config.loading import load_preset

HEAD = "venue: {environment: simulator}\nsymbols: {EURUSD: {}}\ntelemetry:\n"


def parsed(text: str) -> Config:
    return parse_config(HEAD + text, "bot.yaml", {})


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as refused:
        parsed(text)
    return str(refused.value)


@pytest.fixture
def files(tmp_path: Path) -> str:
    """A certificate and its key, as far as a rule looks at them."""
    lines = ""
    for name in ("certificate_file", "private_key_file"):
        path = tmp_path / f"{name}.pem"
        path.write_text("x", encoding="utf-8")
        path.chmod(0o600)
        lines += f"  {name}: {path}\n"
    return lines


def test_it_is_off_and_for_this_machine_unless_the_file_says_otherwise() -> None:
    given = parse_config(HEAD.removesuffix("telemetry:\n"), "bot.yaml", {}).telemetry
    assert (given.enabled, given.host, given.port, given.expose) == (False, "127.0.0.1", 0, False)
    assert parsed("  enabled: true\n").telemetry.enabled


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", '"::"', '"2001:db8::1"'])
def test_another_interface_needs_all_three(host: str, files: str) -> None:
    certificate, key = files.splitlines(keepends=True)
    for missing in ("", "  expose: true\n", files, f"  expose: true\n{certificate}", f"  expose: true\n{key}"):
        text = refusal(f"  host: {host}\n{missing}")
        assert text.startswith("bot.yaml:4: telemetry.host: others than this machine can connect to"), text
        assert "expose: true" in text and "certificate_file and private_key_file" in text
    assert parsed(f"  enabled: true\n  host: {host}\n  expose: true\n{files}").telemetry.expose


def test_exposing_without_a_certificate_is_refused_on_loopback_too(files: str) -> None:
    text = refusal("  expose: true\n")
    assert text.startswith("bot.yaml:4: telemetry.expose: needs certificate_file and private_key_file: without TLS")
    assert parsed(f"  expose: true\n{files}").telemetry.expose


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", '"::1"'])
def test_loopback_needs_nothing_and_may_have_tls(host: str, files: str) -> None:
    assert parsed(f"  enabled: true\n  host: {host}\n").telemetry.certificate_file is None
    assert parsed(f"  enabled: true\n  host: {host}\n{files}").telemetry.certificate_file is not None


@pytest.mark.parametrize("host", ["example.org", "eth0", '""', "127.0.0.1:80", "http://127.0.0.1"])
def test_a_host_is_an_address_of_this_machine(host: str) -> None:
    assert refusal(f"  host: {host}\n").startswith("bot.yaml:4: telemetry.host: is ")


@pytest.mark.parametrize("number", [0, 1])
def test_a_certificate_and_its_key_come_together(number: int, files: str) -> None:
    text = refusal(files.splitlines(keepends=True)[number])
    assert text.startswith("bot.yaml:4: telemetry.") and "is of no use without" in text


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_key_that_others_can_read_is_refused(mode: int, files: str, tmp_path: Path) -> None:
    (tmp_path / "private_key_file.pem").chmod(mode)
    text = refusal(f"  enabled: true\n{files}")
    assert text.startswith("bot.yaml:6: telemetry.private_key_file: others can read ") and "chmod 600" in text
    (tmp_path / "private_key_file.pem").chmod(0o600)
    (tmp_path / "certificate_file.pem").chmod(0o644)  # anybody may see a certificate
    parsed(f"  enabled: true\n{files}")


@pytest.mark.parametrize("name", ["certificate_file", "private_key_file"])
def test_a_file_that_is_not_there_is_told(name: str, files: str, tmp_path: Path) -> None:
    (tmp_path / f"{name}.pem").unlink()
    text = refusal(f"  enabled: true\n{files}")
    assert f"telemetry.{name}: " in text and "cannot be read: No such file" in text
    parsed(f"  enabled: false\n{files}")  # nobody needs it


@pytest.mark.parametrize("line", ["port: 65536", "port: -1", "every_s: 0.05", "every_s: 61", "enabled: yes please"])
def test_what_is_out_of_bounds_is_refused(line: str) -> None:
    assert refusal(f"  {line}\n").startswith(f"bot.yaml:4: telemetry.{line.partition(':')[0]}: ")


def test_a_preset_for_the_demo_opens_no_port_and_a_run_may_go_without(tmp_path: Path) -> None:
    path = tmp_path / "preset.yaml"
    path.write_text(HEAD + "  enabled: true\n  host: ${NOT_SET}\n", encoding="utf-8")
    assert not load_preset(path, {}).telemetry.enabled
    assert not parsed("  enabled: true\n").without_telemetry().telemetry.enabled
