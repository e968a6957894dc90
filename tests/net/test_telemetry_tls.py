"""The certificate of telemetry: where and how it is served, and files that cannot serve, by file and line."""

from pathlib import Path

import pytest
from certificates import certificate_files
from telemetry_desk import TelemetryDesk

from bot.config import Config, ConfigError, parse_config
from bot.net.telemetry_tls import server_tls

# Twisted 26.10 still hands pyOpenSSL its own deprecated certificate objects.
pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")


def config(certificate: Path, key: Path) -> Config:
    text = "venue: {environment: simulator}\nsymbols: {EURUSD: {}}\ntelemetry:\n  enabled: true\n"
    return parse_config(f"{text}  certificate_file: {certificate}\n  private_key_file: {key}\n", "bot.yaml", {})


def refusal(certificate: Path, key: Path) -> str:
    with pytest.raises(ConfigError) as refused:
        server_tls(config(certificate, key))
    return str(refused.value)


def test_with_both_files_the_port_is_one_for_tls_and_the_address_says_so(tmp_path: Path) -> None:
    certificate, key = certificate_files(tmp_path)
    files = {"certificate_file": str(certificate), "private_key_file": str(key)}
    desk = TelemetryDesk(tmp_path, telemetry=files)
    assert desk.clock.ports[0].tls is not None
    assert desk.place.url.startswith("https://127.0.0.1:") and desk.place.certificate_file == str(certificate)


def test_without_them_it_is_plain_on_loopback(tmp_path: Path) -> None:
    desk = TelemetryDesk(tmp_path)
    assert desk.clock.ports[0].tls is None and desk.place.url.startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    ("host", "url", "interfaces"),
    [
        ("localhost", "http://127.0.0.1:40000", ["127.0.0.1", "::1"]),
        ("::1", "http://[::1]:40000", ["::1"]),
        ("127.0.0.2", "http://127.0.0.2:40000", ["127.0.0.2"]),
    ],
)
def test_it_listens_where_the_config_says_and_nowhere_else(
    host: str, url: str, interfaces: list[str], tmp_path: Path
) -> None:
    desk = TelemetryDesk(tmp_path, telemetry={"host": host})
    assert desk.place.url == url
    assert [port.interface for port in desk.clock.ports] == interfaces
    assert len({port.port for port in desk.clock.ports}) == 1


@pytest.mark.parametrize(("host", "name"), [("0.0.0.0", "localhost"), ("::", "localhost"), ("192.0.2.7", "192.0.2.7")])
def test_exposed_it_takes_any_name_and_tells_one_by_which_this_machine_reaches_it(
    host: str, name: str, tmp_path: Path
) -> None:
    certificate, key = certificate_files(tmp_path)
    files = {"certificate_file": str(certificate), "private_key_file": str(key)}
    desk = TelemetryDesk(tmp_path, telemetry=files | {"host": host, "expose": True}).start()
    assert desk.place.url == f"https://{name}:40000"
    assert desk.get("/state", Host="bot.example").status == 200
    assert desk.get("/state", Host="bot.example", authorization="Bearer wrong").status == 401


def test_files_that_cannot_serve_are_told_with_file_line_and_key(tmp_path: Path) -> None:
    certificate, key = certificate_files(tmp_path)
    _, other = certificate_files(tmp_path, "other")
    _, locked = certificate_files(tmp_path, "locked", password=b"secret")
    assert refusal(key, key).startswith("bot.yaml:5: telemetry.certificate_file: ")
    assert refusal(key, key).endswith("holds no certificate in PEM form")
    assert refusal(certificate, other) == (
        f"bot.yaml:6: telemetry.private_key_file: {other} is not the key of the certificate in {certificate}"
    )
    assert f"bot.yaml:6: telemetry.private_key_file: {locked} is encrypted" in refusal(certificate, locked)
    broken = tmp_path / "broken.key"
    broken.touch(mode=0o600)
    broken.write_text(key.read_text()[:90] + "secret\n", encoding="utf-8")
    assert refusal(certificate, broken).endswith("broken.key holds no private key in PEM form")
    gone = config(certificate, key)
    key.unlink()
    with pytest.raises(ConfigError, match=r"private_key_file: .* cannot be read: No such file"):
        server_tls(gone)


def test_a_certificate_file_may_hold_a_chain(tmp_path: Path) -> None:
    certificate, key = certificate_files(tmp_path)
    above, _ = certificate_files(tmp_path, "above")
    certificate.write_bytes(certificate.read_bytes() + above.read_bytes())
    assert server_tls(config(certificate, key)) is not None
