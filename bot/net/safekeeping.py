"""What must be on disk before a byte leaves: a new access token, and in the ledger the intent of every order."""

from bot.config import ConfigError
from bot.engine.decision import Decision
from bot.engine.engine import Engine
from bot.journal.ledger import Ledger, LedgerError
from bot.net.intents import keep_intents
from bot.net.outcome import EXIT_FAILED, Outcome
from bot.net.token_keeper import TokenKeeper, not_stored


class Safekeeping:
    """The ledger and the token keeper of a run, either of which may be missing."""

    def __init__(self, engine: Engine, run_id: str, ledger: Ledger | None, keeper: TokenKeeper | None) -> None:
        self._engine = engine
        self._run_id = run_id
        self._ledger = ledger
        self._keeper = keeper

    def keep(self, decision: Decision) -> Outcome | None:
        """Put on disk what has to be there; return how the run is to end, sending nothing more, when that fails."""
        try:
            if self._keeper is not None:
                self._keeper.keep_fresh()
            if self._ledger is not None:
                keep_intents(self._ledger, decision, self._engine.specs, self._run_id)
        except ConfigError as error:
            return Outcome(EXIT_FAILED, not_stored(error))
        except LedgerError as error:
            return Outcome(EXIT_FAILED, f"stopped before sending: {error}")
        return None

    @property
    def awaits_token(self) -> bool:
        """Whether a new token is on its way: it would be lost with the run."""
        return self._keeper is not None and self._keeper.is_asking

    def look_for_token(self) -> None:
        """Let the keeper see whether the session wants another token."""
        if self._keeper is not None:
            self._keeper.look()

    def close(self) -> None:
        """Put both away."""
        if self._keeper is not None:
            self._keeper.close()
        if self._ledger is not None:
            self._ledger.close()
