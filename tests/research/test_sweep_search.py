"""A sweep's search: it finds what is planted, goes on after a kill, and chooses without the test days."""

import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from libraries import needs
from sweep_plan import BAND, BASE, DAYS, plan, planted, scoring

from bot.research.sweep.found import SweepFound
from bot.research.sweep.score import Score
from bot.research.sweep.split import TooFewDays, split_days
from bot.research.sweep.study import StudyUnusable, SweepStudy, Tried, is_hopeless
from bot.sweeps import Job, NothingFound, Plan, sweep
from bot.workforce import Here, WorkerLost

needs("optuna")


def opened(what: Plan, folder: Path, *, force: bool = False) -> SweepStudy:
    return SweepStudy(folder, what.ranges, what.direction, what.settled(), force=force)


def swept(what: Plan, folder: Path, trials: int, run: Callable[[Job], Score], **given: Any) -> SweepFound:
    study = opened(what, folder)
    try:
        return sweep(what, study, trials, Here(run), **given)
    finally:
        study.close()


@pytest.mark.slow
def test_a_planted_optimum_is_found_and_its_neighbours_are_a_plateau(tmp_path: Path) -> None:
    found = swept(plan(), tmp_path, 40, scoring(planted))
    assert abs(found.chosen.changes[BAND] - 0.3) < 0.15 and abs(found.chosen.changes[BASE] - 4) < 0.8
    assert found.default.train.figure == pytest.approx(planted(0.5, 5, 0))
    assert found.gap == pytest.approx(0) and not found.default_is_better
    assert [each.shape for each in found.steadiness] == ["plateau", "plateau"]
    assert sum(found.importance.values()) == pytest.approx(1)
    assert found.deflated is not None and found.deflated.tries == 40
    assert found.test_looks == 1


@pytest.mark.slow
def test_a_needle_is_told_from_a_plateau(tmp_path: Path) -> None:
    def needle(band: float, base: float, day: int) -> float:
        return 10.0 if abs(band - 0.417) < 0.02 else -abs(base - 4) / 100

    found = swept(plan(), tmp_path, 60, scoring(needle))
    shapes = {each.parameter: each for each in found.steadiness}
    assert found.chosen.train.figure == 10.0, "the seed no longer meets the needle: take another"
    assert shapes[BAND].shape == "needle" and shapes[BAND].lost_frac == pytest.approx(1, abs=0.1)
    assert shapes[BASE].shape == "plateau"


@pytest.mark.slow
def test_what_happens_on_test_days_never_changes_what_is_chosen(tmp_path: Path) -> None:
    test = set(plan().split.test)
    runs = []
    for sign in (1, -1):
        runs.append(swept(plan(), tmp_path / str(sign), 4, scoring(
            lambda band, base, day, sign=sign: planted(band, base, day) * (sign if day in test else 1)
        )))  # fmt: skip
    assert runs[0].chosen.changes == runs[1].chosen.changes
    assert runs[0].tried == runs[1].tried
    assert runs[0].chosen.train == runs[1].chosen.train
    assert runs[0].chosen.test.figure == -runs[1].chosen.test.figure


@pytest.mark.slow
def test_no_job_of_a_trial_reaches_beyond_the_train_days(tmp_path: Path) -> None:
    jobs: list[Job] = []
    run = scoring(planted)
    swept(plan(), tmp_path, 3, lambda job: jobs.append(job) or run(job))  # type: ignore[func-returns-value]
    split = plan().split
    for job in jobs[:3]:
        assert job.stretch == split.train_stretch and job.stretch.until_ns <= split.embargo[0] * 86_400 * 10**9
    assert all(job.stretch in (split.train_stretch, split.test_stretch) for job in jobs)
    assert split.test_stretch.warm == (*split.train[-2:], *split.embargo), "as many days teach as before the train days"


class Killed(BaseException):
    """As a SIGKILL: nothing of ours gets to tidy up."""


@pytest.mark.parametrize("deadly", [2, *(pytest.param(n, marks=pytest.mark.slow) for n in (0, 11))])
def test_a_killed_sweep_goes_on_as_if_it_had_not_been(tmp_path: Path, deadly: int) -> None:
    run, calls, count = scoring(planted), 0, 12 if deadly > 3 else 4

    def once(job: Job) -> Score:
        nonlocal calls
        calls += 1
        if calls == deadly + 1:
            raise Killed
        return run(job)

    whole = swept(plan(), tmp_path / "whole", count, run)
    with pytest.raises(Killed):
        swept(plan(), tmp_path / "killed", count, once)
    found = swept(plan(), tmp_path / "killed", count, once)
    assert found.tried == whole.tried and found.chosen == whole.chosen
    assert len(found.tried) == count


def test_a_kill_between_the_writes_of_a_trial_that_is_over_counts_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, calls = scoring(planted), []

    def counted(job: Job) -> Score:
        calls.append(job)
        return run(job)

    def dies(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr("optuna.study.Study.tell", dies)
        with pytest.raises(Killed):
            swept(plan(), tmp_path / "killed", 3, counted)
    found = swept(plan(), tmp_path / "killed", 3, counted)
    assert len(found.tried) == 3
    assert sum(not job.with_interval for job in calls) == 3, "what has its score is not run again"
    assert found.tried == swept(plan(), tmp_path / "whole", 3, run).tried


def test_a_kill_while_a_trial_is_asked_for_changes_no_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from optuna.trial import Trial

    whole, study = opened(plan(), tmp_path / "whole"), opened(plan(), tmp_path / "killed")
    suggest, suggested = Trial._suggest, []

    def dies_at_the_second(self: Trial, name: str, distribution: Any) -> Any:
        if suggested:
            raise Killed
        suggested.append(name)
        return suggest(self, name, distribution)

    with monkeypatch.context() as patched:
        patched.setattr(Trial, "_suggest", dies_at_the_second)
        with pytest.raises(Killed):
            study.ask(1)
    study.close()
    study = opened(plan(), tmp_path / "killed")
    assert study.ask(1)[1] == whole.ask(1)[1]
    study.close()
    whole.close()


_DYING = """
import os, signal, sys
from pathlib import Path
from sweep_plan import plan, planted, scoring
from bot.research.sweep.study import SweepStudy
from bot.sweeps import sweep
from bot.workforce import Here
calls = 0
def run(job):
    global calls
    calls += 1
    if calls == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return scoring(planted)(job)
what = plan()
sweep(what, SweepStudy(Path(sys.argv[1]), what.ranges, what.direction, what.settled(), force=False), 6, Here(run))
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_a_process_killed_again_and_again_loses_no_trial_that_was_told(tmp_path: Path) -> None:
    here = Path(__file__).parents[1]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(here), str(here.parent)])}
    for lived in (2, 4):
        words = [sys.executable, "-c", _DYING, str(tmp_path / "killed")]
        assert subprocess.run(words, env=environment, check=False, timeout=300).returncode == -signal.SIGKILL
        study = opened(plan(), tmp_path / "killed")
        assert len(study.tried()) == lived
        study.close()
    run = scoring(planted)
    assert swept(plan(), tmp_path / "killed", 6, run).tried == swept(plan(), tmp_path / "whole", 6, run).tried


_DYING_OF_TWO = """
import os, signal, sys
from pathlib import Path
from sweep_plan import plan, planted, scoring
from bot.research.sweep.study import SweepStudy
from bot.sweeps import sweep
from bot.workforce import Cluster
folder, victim = Path(sys.argv[1]), os.getpid()
def run(job):
    begun = next(n for n in range(99) if not (folder / str(n)).exists())
    (folder / str(begun)).touch()
    if begun == 4:
        os.kill(victim, signal.SIGKILL)
    return scoring(planted)(job)
if __name__ == "__main__":
    what = plan()
    sweep(what, SweepStudy(folder, what.ranges, what.direction, what.settled(), force=False), 8, Cluster(run, 2))
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_a_sweep_of_two_workers_killed_in_a_trial_ends_with_as_many_as_were_asked_for(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    here = Path(__file__).parents[1]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(here), str(here.parent)])}
    words = [sys.executable, "-c", _DYING_OF_TWO, str(tmp_path)]
    died = subprocess.run(words, env=environment, check=False, timeout=300, stderr=subprocess.DEVNULL)
    assert died.returncode == -signal.SIGKILL
    study = opened(plan(), tmp_path)
    before = study.tried()
    study.close()
    assert 2 <= len(before) <= 4
    found = swept(plan(), tmp_path, 8, scoring(planted))
    assert len(found.tried) == 8
    assert len({tuple(changes.items()) for changes, _, _ in found.tried}) == 8, "one was counted twice"
    kept = [(tried.changes, tried.score.state, tried.score.figure) for tried in before]
    assert all(each in found.tried for each in kept)


@pytest.mark.slow
def test_a_sweep_that_is_complete_runs_nothing_again_and_more_trials_go_on(tmp_path: Path) -> None:
    def never(job: Job) -> Score:
        raise AssertionError("run again")

    first = swept(plan(), tmp_path, 2, scoring(planted))
    assert swept(plan(), tmp_path, 2, never) == first
    more = swept(plan(), tmp_path, 3, scoring(planted))
    assert more.tried[:2] == first.tried and len(more.tried) == 3


def test_a_final_run_whose_worker_died_is_run_again_by_the_next_start(tmp_path: Path) -> None:
    run, jobs, what = scoring(planted), [], plan()

    def dies_at_the_test(job: Job) -> Score:
        if job.with_interval and job.stretch == what.split.test_stretch and not job.changes:
            raise WorkerLost("its worker process died")
        return run(job)

    first = swept(what, tmp_path, 1, dies_at_the_test)
    assert first.default.test.reason == "WorkerLost: its worker process died"
    again = swept(what, tmp_path, 1, lambda job: jobs.append(job) or run(job))  # type: ignore[func-returns-value]
    assert again.default.test == run(jobs[0]) and again.chosen == first.chosen
    assert len(jobs) == 1, "what has a score is remembered"


def test_a_study_keeps_to_what_was_settled_unless_forced_to_begin_anew(tmp_path: Path) -> None:
    first = swept(plan(), tmp_path, 2, scoring(planted))
    other = plan(metric="net_return_frac")
    with pytest.raises(StudyUnusable, match=r'its metric was "net_sharpe", not "net_return_frac".*--force'):
        opened(other, tmp_path)
    with pytest.raises(StudyUnusable, match="its direction"):
        opened(plan(direction="minimize"), tmp_path)
    with pytest.raises(StudyUnusable, match="its seed was 1, not 2"):
        opened(plan(seed=2), tmp_path)
    study = opened(other, tmp_path, force=True)
    assert (study.name, study.tried(), first.study) == ("sweep-2", [], "sweep-1")
    with pytest.raises(StudyUnusable, match="another sweep is writing"):
        opened(other, tmp_path)
    study.close()


def test_a_file_that_is_no_study_is_refused_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "study.sqlite").write_bytes(b"not a database, and longer than a header has to be" * 10)
    with pytest.raises(StudyUnusable, match="is no study, or damaged"):
        opened(plan(), tmp_path)


@pytest.mark.slow
def test_a_trial_that_fails_costs_itself_and_says_why(tmp_path: Path) -> None:
    seen: list[Tried] = []
    run = scoring(planted)

    def sometimes(job: Job) -> Score:
        if len(seen) == 1:
            raise OSError("the disk\nis gone")
        return run(job)

    found = swept(plan(), tmp_path, 4, sometimes, on_trial=lambda tried, best: seen.append(tried))
    assert found.counts == {"complete": 3, "pruned": 0, "failed": 1}
    assert seen[1].score.reason == "OSError: the disk is gone"


@pytest.mark.slow
def test_a_sweep_of_failures_says_what_failed(tmp_path: Path) -> None:
    with pytest.raises(NothingFound, match="no trial of 2 has a score; for example: no fill"):
        swept(plan(), tmp_path, 2, lambda job: Score("failed", reason="no fill"))


def test_a_trial_worse_than_the_median_is_hopeless_and_the_first_day_never_is() -> None:
    earlier = tuple((float(n), (float(n),) * 4) for n in range(5))
    assert is_hopeless("maximize", earlier, [1.0, 1.0]) and not is_hopeless("maximize", earlier, [3.0, 3.0])
    assert is_hopeless("minimize", earlier, [3.0, 3.0]) and not is_hopeless("minimize", earlier, [1.0, 1.0])
    assert not is_hopeless("maximize", earlier, [1.0])
    assert not is_hopeless("maximize", earlier[:4], [1.0, 1.0])
    assert not is_hopeless("maximize", earlier, [math.nan, math.nan])


@pytest.mark.parametrize(("days", "needs"), [(0, 7), (6, 7)])
def test_too_few_days_are_refused_with_how_many_it_takes(days: int, needs: int) -> None:
    with pytest.raises(TooFewDays, match=rf"have {days} UTC day\(s\); this sweep needs {needs}: 3 to calibrate, 2 to"):
        split_days(DAYS[:days], 3, 0.7, 1)


def test_days_are_used_once_each_and_in_their_order() -> None:
    split = split_days(DAYS, 3, 0.7, 1)
    assert split.calibration + split.train + split.embargo + split.test == DAYS
    assert (len(split.train), len(split.embargo), len(split.test)) == (7, 1, 3)
    assert split_days(DAYS[:5], 1, 0.7, 0).embargo == ()


def test_what_was_under_way_when_a_sweep_was_killed_is_asked_for_again(tmp_path: Path) -> None:
    study = opened(plan(), tmp_path)
    asked = [study.ask(1, in_parallel=True)[1] for _ in range(2)]
    study.close()
    study = opened(plan(), tmp_path)
    again = [study.ask(99, in_parallel=True)[1] for _ in range(3)]  # of another seed: only the queue knows them
    study.close()
    assert again[:2] == asked and again[2] not in asked
