"""A wired bot whose telemetry listens in memory, and clients that ask it."""

import json
from pathlib import Path
from typing import Any

from web_clock import Answer, Connection, WebClock
from wired_bot import WiredBot, bot_config, virtual_venue

from bot.net.telemetry_file import TelemetryPlace, read_place

COMPOSITE: dict[str, Any] = {
    "strategy": {"name": "composite", "base_leverage": 3, "parameters": {"volatility_sample_s": 0.5}},
    "sizing": {"warm_up_s": 3, "persistence_s": 1, "max_increase_frac_per_min": 1, "band": 0.05},
}


class TelemetryDesk:
    """A bot with telemetry. Args: `is_steered` as of the bot; `telemetry` keys of its section."""

    def __init__(
        self, folder: Path, *, is_steered: bool = True, telemetry: dict[str, Any] | None = None, **changes: Any
    ) -> None:
        self.clock = WebClock()
        section = {"enabled": True, **(telemetry or {})}
        config = bot_config(folder, **{"telemetry": section, **changes})
        self.bot = WiredBot(folder, config, virtual_venue(), clock=self.clock, is_steered=is_steered)
        self.folder = folder / "state"

    @property
    def place(self) -> TelemetryPlace:
        place = read_place(self.folder)
        assert place is not None
        return place

    def start(self) -> "TelemetryDesk":
        """Start the bot and wait until it holds its two positions."""
        self.bot.start().until(lambda: [state for _, state in self.bot.states].count("filled") == 2)
        return self

    def connect(self) -> Connection:
        return self.clock.ports[0].connect()

    def ask(self, path: str, method: str = "GET", *, body: bytes = b"", **headers: Any) -> Connection:
        """Ask on a connection of its own, with the token. Args: `headers` with _ for -; None leaves one out."""
        given = {"authorization": f"Bearer {self.place.token}"} | {k.replace("_", "-"): v for k, v in headers.items()}
        return self.connect().ask(method, path, given, body)

    def get(self, path: str, **headers: Any) -> Answer:
        return self.ask(path, **headers).answer

    def post(self, content: Any, **headers: Any) -> Answer:
        """Post to /command: JSON of what is given, or these bytes."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        return self.ask("/command", "POST", body=body, **headers).answer
