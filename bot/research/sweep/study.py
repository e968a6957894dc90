"""The memory of a sweep: what was settled before the first trial, every trial, and scores, in one SQLite file.

How it works: Optuna keeps trials; whoever holds the folder's lock asks for parameters and tells what became of them.
SQLite, as a write that a kill cuts short is rolled back. Optuna's other file, a journal of lines, is not readable any
more once something follows a torn line. Workers write nothing here, so that there is one writer.

A trial that was under way when a sweep was killed is marked as interrupted and its parameters are asked for again.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from bot.research.sweep.ranges import Choice, Range
from bot.research.sweep.score import Direction, Score

FILE = "study.sqlite"
_STARTUP_TRIALS, _WARM_UP_DAYS = 5, 1
Changes = dict[str, Choice]
Earlier = tuple[tuple[float, tuple[float, ...]], ...]


class StudyUnusable(ValueError):
    """The folder holds another study, or cannot be used; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One trial that is over."""

    number: int
    changes: Changes
    score: Score


class SweepStudy:
    """The study in a folder, which is made.

    Args: `settled` is what must not change while a study goes on; `force` starts a new study where it has changed (the
        other one stays in the file).
    Raises: StudyUnusable.
    """

    def __init__(
        self,
        folder: Path,
        ranges: Mapping[str, Range],
        direction: Direction,
        settled: Mapping[str, Any],
        *,
        force: bool,
    ) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._tried: dict[int, Tried] = {}
        self._distributions = {name: each.distribution() for name, each in ranges.items()}
        self._lock = FileLock(folder / ".sweep.lock", timeout=0)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except Timeout:
            raise StudyUnusable(f"another sweep is writing to {folder}: wait for it, or name another --out") from None
        except OSError as error:
            raise StudyUnusable(f"{folder} cannot be written to: {error.strerror or error}") from None
        try:
            self._study = _opened(folder / FILE, direction, settled, force)
            self._resume()
        except BaseException:
            self._lock.release()
            raise

    def close(self) -> None:
        """Let others use the folder."""
        self._study._storage.remove_session()
        engine = getattr(getattr(self._study._storage, "_backend", None), "engine", None)
        if engine is not None:
            engine.dispose()
        self._lock.release()

    def ask(self, seed: int, *, in_parallel: bool = False) -> tuple[int, Changes]:
        """Return the number of a new trial, and what to try.

        The sampler is made anew from the seed and the count of trials, so that a sweep that was killed goes on as it
        would have gone on.
        """
        from optuna.samplers import TPESampler

        place = sum(1 for each in self._study.get_trials(deepcopy=False) if "interrupted" not in each.user_attrs)
        sampler = TPESampler(seed=(seed * 1_000_003 + place) % 2**32, constant_liar=in_parallel)
        self._study.sampler = sampler
        trial = self._study.ask(self._distributions)
        return trial.number, dict(trial.params)

    def tell(self, number: int, score: Score) -> None:
        """Write down what became of a trial."""
        from optuna.trial import Trial

        trial = Trial(self._study, self._study._storage.get_trial_id_from_study_id_trial_number(self._id, number))
        if score.by_day and math.isfinite(score.by_day[-1]):
            trial.report(score.by_day[-1], len(score.by_day) - 1)  # by it the sampler ranks what was pruned
        trial.set_user_attr("score", score.plain())
        self._end(number, score)

    def _end(self, number: int, score: Score) -> None:
        from optuna.trial import TrialState

        state = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}[score.state]
        self._study.tell(number, score.figure if score.state == "complete" else None, state=state)

    def tried(self) -> list[Tried]:
        """Return every trial that is over, those that were interrupted left out, in their order."""
        for each in self._study.get_trials(deepcopy=False):
            if each.number not in self._tried and each.state.is_finished() and "score" in each.user_attrs:
                self._tried[each.number] = Tried(
                    each.number, dict(each.params), Score.of_plain(each.user_attrs["score"])
                )
        return [self._tried[number] for number in sorted(self._tried)]

    def best(self) -> Tried | None:
        """Return the complete trial with the best figure, the earliest of equals; None before there is one."""
        complete = [each for each in self.tried() if each.score.state == "complete"]
        sign = -1.0 if self._study.direction.name == "MAXIMIZE" else 1.0
        return min(complete, key=lambda each: sign * each.score.figure, default=None)

    def earlier(self) -> Earlier:
        """Return figure and figures by day of every complete trial: what a new one is pruned by."""
        return tuple((t.score.figure, t.score.by_day) for t in self.tried() if t.score.state == "complete")

    def importance(self) -> dict[str, float]:
        """Return each parameter's share in what separates good trials from the others; {} where it cannot be told.

        Source: Watanabe, Bansal, Hutter (2023), PED-ANOVA, by Optuna.
        """
        import warnings

        from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

        if len(self.earlier()) < 4:
            return {}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = get_param_importances(self._study, evaluator=PedAnovaImportanceEvaluator())
        except (ValueError, RuntimeError):
            return {}
        return {name: float(each) for name, each in found.items() if math.isfinite(each)}

    def remembered(self, part: str, changes: Mapping[str, Any]) -> Score | None:
        """Return the score of a part of the days that was kept; None when there is none."""
        kept = self._study.user_attrs.get(_key(part, changes))
        return None if kept is None else Score.of_plain(kept)

    def remember(self, part: str, changes: Mapping[str, Any], score: Score) -> None:
        """Keep the score of a part of the days."""
        self._study.set_user_attr(_key(part, changes), score.plain())

    def note_choice(self, changes: Mapping[str, Any]) -> None:
        """Write down that a choice is about to be scored on the test days."""
        self._study.set_user_attr(_key("choice", changes), {})

    def test_looks(self) -> int:
        """Return how many different choices have been scored on the test days."""
        return sum(1 for key in self._study.user_attrs if key.startswith("score of choice "))

    @property
    def name(self) -> str:
        """The study's name in its file."""
        return str(self._study.study_name)

    @property
    def _id(self) -> int:
        return int(self._study._study_id)

    def _resume(self) -> None:
        """Ask again for what was under way; twice if need be, so the order of the two writes does not matter.

        What has its score is over. What was still being asked for is as if it had not been.
        """
        from optuna.trial import TrialState

        trials = self._study.get_trials(deepcopy=False)
        asked_again = {each.user_attrs.get("again") for each in trials}
        for each in trials:
            if each.state != TrialState.RUNNING:
                continue
            if (kept := each.user_attrs.get("score")) is not None:
                self._end(each.number, Score.of_plain(kept))
                continue
            if each.params.keys() == self._distributions.keys() and each.number not in asked_again:
                self._study.enqueue_trial(each.params, user_attrs={"again": each.number})
            self._study._storage.set_trial_user_attr(each._trial_id, "interrupted", True)
            self._study.tell(each.number, state=TrialState.FAIL)


def is_hopeless(direction: Direction, earlier: Earlier, by_day: Sequence[float]) -> bool:
    """Tell whether a trial's best figure so far is worse than the median of the earlier trials' after as many days.

    Nothing is hopeless before five trials are complete, or on the first day. Source: Optuna's MedianPruner.
    """
    import optuna

    known = [(day, figure) for day, figure in enumerate(by_day) if math.isfinite(figure)]
    if len(earlier) < _STARTUP_TRIALS or not known or known[-1][0] != len(by_day) - 1:
        return False
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=_STARTUP_TRIALS, n_warmup_steps=_WARM_UP_DAYS)
    study = optuna.create_study(direction=direction, pruner=pruner)
    for figure, days in earlier:
        values = {day: each for day, each in enumerate(days) if math.isfinite(each)}
        study.add_trial(optuna.trial.create_trial(value=figure, intermediate_values=values))
    trial = study.ask()
    for day, figure in known:
        trial.report(figure, day)
    return trial.should_prune()


def _key(part: str, changes: Mapping[str, Any]) -> str:
    return f"score of {part} {json.dumps(dict(changes), sort_keys=True)}"


def _opened(path: Path, direction: Direction, settled: Mapping[str, Any], force: bool) -> Any:
    """Return the newest study of a file where it is of the same kind, else a new one."""
    import optuna

    wanted = json.loads(json.dumps(settled))
    try:
        storage = optuna.storages.get_storage(f"sqlite:///{path}")
        _write_ahead(storage)
        names = optuna.study.get_all_study_names(storage)
        if names:
            study = optuna.load_study(study_name=f"sweep-{len(names)}", storage=storage)
            there = study.user_attrs.get("settled")
            if there == wanted:
                return study
            if there is not None and not force:
                raise StudyUnusable(_difference(path, there, wanted))
        study = optuna.create_study(
            study_name=f"sweep-{len(names) + 1}", storage=storage, direction=direction, sampler=None
        )
    except (OSError, RuntimeError) as error:
        raise StudyUnusable(f"{path} cannot be used: {error}") from None
    except Exception as error:  # of SQLAlchemy, whose tree of errors is not ours to import
        if isinstance(error, ValueError):
            raise
        raise StudyUnusable(f"{path} is no study, or damaged: {str(error).splitlines()[0]}") from None
    study.set_user_attr("settled", wanted)
    return study


def _write_ahead(storage: Any) -> None:
    """Let SQLite write ahead: a commit waits for the disk only now and then, and a kill loses none all the same."""
    import sqlalchemy

    def connected(connection: Any, record: Any) -> None:  # noqa: ARG001
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    engine = storage._backend.engine
    sqlalchemy.event.listen(engine, "connect", connected)
    engine.dispose()  # what is connected already would not hear of it


def _difference(path: Path, there: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    name = next(key for key in wanted if there.get(key) != wanted[key])
    shown = [json.dumps(each.get(name)) for each in (there, wanted)]
    if max(map(len, shown)) > 80:
        said = f"its {name} was another"
    else:
        said = f"its {name} was {shown[0]}, not {shown[1]}"
    return f"{path} holds a study settled before its first trial: {said}; name another --out, or --force a new one"
