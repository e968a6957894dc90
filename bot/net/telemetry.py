"""A run's telemetry: what a page, a script or Prometheus sees of it, and steers it by, over HTTP on loopback.

How it works: the port is taken before anything is sent to the venue; requests are answered once the run has begun.
Everything is done in the reactor between two inputs of the run, from the engine as it stands, and nothing waits for
whoever reads: see `telemetry_stream`. Commands take the road of the control socket, `Steering.answer`.

Invariant: the decisions of a run are the same with telemetry and without it, the commands it brings aside.
"""

import os
import secrets
from collections.abc import Collection
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.logger import Logger

from bot.config import Config, state_directory
from bot.ctrader.session import Session
from bot.engine.decision import Decision
from bot.engine.engine import Engine
from bot.net.control import Answer
from bot.net.driver import Driver
from bot.net.telemetry_access import Access, Refusal
from bot.net.telemetry_feed import SnapshotFeed
from bot.net.telemetry_file import (
    FILE_NAME,
    TelemetryFileUnusable,
    TelemetryPlace,
    is_served,
    read_place,
    remove_place,
    write_place,
)
from bot.net.telemetry_metrics import HOW_TO_INSTALL, metrics_text, run_metrics
from bot.net.telemetry_pages import TelemetryPages, Text
from bot.net.telemetry_stream import Readers
from bot.net.telemetry_tls import server_tls
from bot.net.web_port import WebPort
from bot.telemetry.snapshot import Snapshots

LONGEST_COMMAND = 4096
MOST_CONNECTIONS = 32
_log = Logger()


class Telemetry:
    """Serves one run, from `start` to `stop`; its `watch` sees every Decision.

    Args: `config` has telemetry enabled; `name` starts lines in the log.
    """

    def __init__(self, reactor: Any, config: Config, session: Session, engine: Engine, *, name: str = "") -> None:
        given, self._name = config.telemetry, name
        self._reactor, self._config, self._run_id = reactor, config, session.plan.run_id
        self._path = state_directory(config).absolute() / FILE_NAME
        self._snapshots = Snapshots(config, session, engine)
        self._driver: Driver | None = None
        self._token = secrets.token_urlsafe(32)
        self._feed = SnapshotFeed(self._snapshot, given.every_s, self._now_s)
        self._readers = Readers(reactor, self._feed, given.every_s, self._now_s, name=name)
        self._pages = TelemetryPages(
            Access(self._token, self._now_s, is_exposed=given.expose, name=name),
            self._feed,
            self._readers,
            traded=config.symbols,
            metrics=self._metrics_text,
        )
        self._metrics = run_metrics(config, engine, self._run_id, self._served)
        self._port: WebPort | None = None
        self._place: TelemetryPlace | None = None
        self._has_failed = False

    def watch(self, decision: Decision) -> None:
        """Take one Decision. An error here is told once and costs the run nothing."""
        try:
            self._snapshots(decision)
        except Exception:
            if not self._has_failed:
                self._has_failed = True
                _log.failure("telemetry could not take a decision; its events and fills may miss some")

    def listen(self) -> None:
        """Take the port and tell where it is.

        Raises: ConfigError when the port is taken, or the state folder is somebody else's.
        """
        given = self._config.telemetry
        tls = server_tls(self._config)
        self._refuse_shared_folder()
        host = "127.0.0.1" if given.host == "localhost" else given.host
        try:
            self._port = WebPort(
                self._reactor,
                given.port,
                self._pages,
                hosts=(host, "::1") if given.host == "localhost" else (host,),
                tls=tls,
                most_connections=MOST_CONNECTIONS,
                longest_body=LONGEST_COMMAND,
                reads_forms=False,
            )
        except CannotListenError as error:
            why = getattr(error.socketError, "strerror", None) or error.socketError
            text = f"{given.host} port {given.port} cannot be listened on ({why}); take another, or 0 for any"
            raise self._config.error_at("telemetry.port", text) from None
        url = f"{'http' if tls is None else 'https'}://{_named(host)}:{self._port.port}"
        self._place = TelemetryPlace(
            url,
            self._token,
            os.getpid(),
            self._config.account.id,
            self._run_id,
            None if tls is None else str(given.certificate_file),
        )
        try:
            write_place(self._path.parent, self._place)
        except OSError as error:
            self.stop()
            text = f"{self._path} cannot be written: {error.strerror or error}"
            raise self._config.error_at("state.directory", text) from None

    def beside(self, driver: Driver, steer: Answer | None) -> "Telemetry":
        """Learn whose this is. Args: `steer` answers commands as the control socket does; None: nobody may."""
        self._driver, self._pages.steer = driver, steer
        if self._metrics is not None:
            self._metrics.figures = driver.figures
        return self

    def start(self) -> None:
        """Say where it is: never with what."""
        if self._place is not None:
            _log.info(
                "{name}telemetry on {url} (token in {path})",
                name=self._name, url=self._place.url, path=self._path,
            )  # fmt: skip

    def stop(self) -> None:
        """Let every reader go, and listen no more. A second call does nothing."""
        self._readers.stop()
        port, place, self._port, self._place = self._port, self._place, None, None
        if place is not None:
            remove_place(self._path.parent, place)
        if port is not None:
            port.stop()

    def _now_s(self) -> float:
        # The run's clock, which nobody can set; the reactor's is the machine's.
        return self._driver.now_ns() / 1e9 if self._driver is not None else 0.0

    def _snapshot(self, ladders: Collection[str]) -> dict[str, Any]:
        assert self._driver is not None  # nobody is answered before the run has begun
        return self._snapshots.snapshot(self._driver.figures, self._driver.now_ns(), ladders)

    def _metrics_text(self) -> Text | Refusal:
        return Refusal(501, HOW_TO_INSTALL) if self._metrics is None else Text(*metrics_text(self._metrics))

    def _served(self) -> tuple[int, int, int]:
        return len(self._readers), self._feed.made, self._readers.dropped

    def _refuse_shared_folder(self) -> None:
        try:
            place = read_place(self._path.parent)
        except TelemetryFileUnusable:
            return  # whatever it is: it is replaced
        if place is not None and is_served(place):
            text = f"{self._path} is that of a run which goes on (process {place.process_id})"
            hint = "give each a folder of its own, or telemetry to one of them only"
            raise self._config.error_at("state.directory", f"{text}; {hint}")


def opened(reactor: Any, config: Config, session: Session, engine: Engine, name: str = "") -> Telemetry | None:
    """Return the telemetry of a run, which listens; None where the config has none. Raises: as `Telemetry.listen`."""
    if not config.telemetry.enabled:
        return None
    telemetry = Telemetry(reactor, config, session, engine, name=name)
    telemetry.listen()
    return telemetry


def _named(host: str) -> str:
    """Return a host as an address has it; for every interface, the name by which this machine reaches itself."""
    if host in ("0.0.0.0", "::"):
        return "localhost"
    return f"[{host}]" if ":" in host else host
