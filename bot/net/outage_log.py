"""Every outage in the log, in one line each way: why READY was lost, and after how long it was back."""

from twisted.logger import Logger

from bot.engine.decision import EngineState

_log = Logger()


class OutageLog:
    """Watches the readiness of a run. Args: `name` starts each line; several runs share a log."""

    def __init__(self, name: str = "") -> None:
        self._name = name
        self._was_ready = False
        self._lost_ns: int | None = None
        self.count = 0

    def observe(self, state: EngineState | None, now_ns: int, why: str) -> None:
        """Take the state of a Decision, None when it did not change; `why` says what ended READY the last time."""
        if state is None or state.ready == self._was_ready:
            return
        self._was_ready = state.ready
        if not state.ready:
            self.count += 1
            self._lost_ns = now_ns
            _log.warn("{name}not ready any more: {why}", name=self._name, why=why)
        elif self._lost_ns is not None:
            _log.info(
                "{name}ready again after {seconds:.2f} s", name=self._name, seconds=(now_ns - self._lost_ns) / 1e9
            )
            self._lost_ns = None
