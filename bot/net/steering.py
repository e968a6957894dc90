"""How a person steers a running bot, by commands on the control socket and the stop file; and what the machine says.

How it works: everything enters the engine as an event, through `tell`, and so stands in the journal. The stop file is
looked at once a second, the machine every five. A command's reply is the state after the engine has decided on it.

Invariant: the stop file and the engine never disagree for long: a file that is there halts, one that goes takes its own
halt along, and a `resume` takes the file away before it takes the halt away.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from twisted.logger import Logger

from bot.config import Config, state_directory
from bot.ctrader.session import Session
from bot.engine.engine import Engine
from bot.engine.events import CommandGiven, Event
from bot.net.control import ControlPort, refused
from bot.net.control_place import ControlPlace, ControlUnavailable, names_to_serve
from bot.net.driver import Driver
from bot.net.host_watch import HostWatch, free_bytes
from bot.net.stop_file import StopFile
from bot.telemetry.status import status

COMMANDS = ("status", "halt", "resume", "flatten")
STOP_FILE_EVERY_S = 1.0
HOST_EVERY_S = 5.0
_LONGEST_REASON = 200
_log = Logger()


class Steering:
    """Steers one run, from `start` to `stop`.

    Args: `tell` feeds events to the engine; `status` is the run's state as a JSON object; `account_id` is whose bot
        this is, as its config says, None when it does not; `name` starts lines in the log.
    """

    def __init__(
        self,
        reactor: Any,
        place: ControlPlace,
        stop_file: StopFile,
        host: HostWatch,
        *,
        tell: Callable[[Sequence[Event]], None],
        status: Callable[[], dict[str, Any]],
        now_ns: Callable[[], int],
        account_id: int | None,
        name: str = "",
    ) -> None:
        self._stop_file = stop_file
        self._host = host
        self._tell, self._status, self._now_ns = tell, status, now_ns
        self._account_id = account_id
        self._name = name
        self._port = ControlPort(reactor, place, self.answer)
        self._reactor = reactor
        self._due: dict[float, Any] = {}

    def start(self) -> None:
        """Look at everything once, then again and again; listen."""
        try:
            self._port.start()
        except ControlUnavailable as error:
            _log.warn(
                "{name}no control socket: {error}. The stop file works: {path}",
                name=self._name, error=error, path=self._stop_file.path,
            )  # fmt: skip
        self._poll(self._look_for_file, STOP_FILE_EVERY_S)
        self._poll(self._look_at_host, HOST_EVERY_S)

    def stop(self) -> None:
        """Listen and look no more."""
        for call in self._due.values():
            if call.active():
                call.cancel()
        self._port.stop()

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what a request asks for and return the reply."""
        command, account_id = request.get("command"), request.get("account_id")
        if command not in COMMANDS:
            return refused(f"no such command; there are {', '.join(COMMANDS)}")
        if account_id is not None and self._account_id is not None and account_id != self._account_id:
            text = f"the bot that runs there is that of account {self._account_id}, not of {str(account_id)[:20]}"
            return refused(text) | {"other_account": True}
        if command == "resume":
            try:
                self._stop_file.remove()
            except OSError as error:
                return refused(f"the stop file {self._stop_file.path} is in the way: {error.strerror}; take it away")
            self._tell([CommandGiven(self._now_ns(), "resume", "stop_file")])
        if command != "status":
            reason = _one_line(request.get("reason"))
            _log.info("{name}{command} by hand{why}", name=self._name, command=command, why=reason and f": {reason}")
            self._tell([CommandGiven(self._now_ns(), command, "by_hand", reason)])
        stop_file = str(self._stop_file.path) if self._stop_file.command is not None else None
        return {"ok": True, "status": self._status() | {"stop_file": stop_file}}

    def _poll(self, look: Callable[[], None], every_s: float) -> None:
        self._due[every_s] = self._reactor.callLater(every_s, self._poll, look, every_s)
        try:
            look()
        except Exception:
            _log.failure("a look at the stop file or at the machine failed; the next follows")

    def _look_for_file(self) -> None:
        if not self._stop_file.look():
            return
        command, path = self._stop_file.command, self._stop_file.path
        if command is None:
            _log.info("{name}the stop file {path} is gone", name=self._name, path=path)
            self._tell([CommandGiven(self._now_ns(), "resume", "stop_file")])
            return
        text = "{name}the stop file {path} is there: {command}; take it away, or `microlev resume`, to go on"
        _log.warn(text, name=self._name, path=path, command=command)
        self._tell([CommandGiven(self._now_ns(), command, "stop_file")])

    def _look_at_host(self) -> None:
        news = self._host.look()
        if news is not None:
            self._tell([news])


def steered(
    reactor: Any,
    config: Config,
    session: Session,
    engine: Engine,
    driver: Driver,
    journal_folder: Path | None,
    *,
    wall_ns: Callable[[], int] = time.time_ns,
) -> Steering:
    """Return the steering of a run, not yet started.

    Args: `journal_folder`, if there is one, is watched for space; `wall_ns` is the machine's clock, ns since the epoch.
    """
    directory = state_directory(config)
    folders = [folder for folder in (directory, journal_folder) if folder is not None]
    return Steering(
        reactor,
        ControlPlace(directory, names_to_serve(config.account.id, config.mode)),
        StopFile(directory.absolute()),
        HostWatch(round(config.risk.min_disk_free_mb * 1_000_000), driver.now_ns, wall_ns, lambda: free_bytes(folders)),
        tell=driver.tell,
        status=lambda: status(config, session, engine, driver.figures, driver.now_ns()),
        now_ns=driver.now_ns,
        account_id=config.account.id,
        name=driver.name,
    )


def _one_line(reason: object) -> str:
    """Return what a person gave as a reason, as one line that can be logged and shown."""
    if not isinstance(reason, str):
        return ""
    return "".join(c if c.isprintable() else " " for c in " ".join(reason.split()))[:_LONGEST_REASON]
