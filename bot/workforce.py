"""Who runs the jobs of a sweep: this process, processes of this machine, or a Dask cluster. One job, one score.

A worker that dies costs the job it had. Nothing listens beyond this machine unless a cluster was named.
"""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

_Job = TypeVar("_Job", contravariant=True)
_Score = TypeVar("_Score", covariant=True)


class Unreachable(Exception):
    """There is no scheduler at that address; the text is one line."""


class WorkerLost(Exception):
    """The process that ran a job is gone; the text says so in a line."""


class Workforce(Protocol[_Job, _Score]):
    """Takes jobs while `has_room`, `jobs` at a time; gives each back as (key, what it came to or what ended it)."""

    @property
    def jobs(self) -> int:
        """How many jobs run at a time."""

    @property
    def has_room(self) -> bool:
        """Whether another job would be begun at once."""

    def start(self, key: Any, job: _Job) -> None:
        """Begin a job."""

    def take(self) -> tuple[Any, _Score | Exception]:
        """Wait for the next job that is over."""

    def close(self) -> None:
        """End every process that was started, and give up jobs under way."""


class Here:
    """Runs one job at a time in this process."""

    jobs = 1

    def __init__(self, run: Callable[[Any], Any]) -> None:
        self._run = run
        self._waiting: list[tuple[Any, Any]] = []

    @property
    def has_room(self) -> bool:
        """Whether nothing waits."""
        return not self._waiting

    def start(self, key: Any, job: Any) -> None:
        """Keep a job until `take`."""
        self._waiting.append((key, job))

    def take(self) -> tuple[Any, Any]:
        """Run the job that waits."""
        key, job = self._waiting.pop(0)
        try:
            return key, self._run(job)
        except Exception as error:
            return key, error

    def close(self) -> None:
        """There is nothing to end."""


class Cluster:
    """Runs jobs on Dask: on processes of this machine, one thread each, or on a cluster that is there already.

    Args: `jobs` at a time; None: as many as the cluster has threads, or this machine cores. Without `address` the
        workers are started here, and are told of on the loopback interface only.
    Raises: Unreachable.
    """

    def __init__(self, run: Callable[[Any], Any], jobs: int | None = None, address: str | None = None) -> None:
        import os

        import dask
        import distributed

        self._run, self._local = run, None
        self._futures: dict[Any, Any] = {}
        try:
            if address is None:
                # A job whose worker died is not given to the next one, which it might kill as well.
                # Dask opens ports for its status pages all the same: then on loopback, and with nothing to see there.
                settings: dict[str, Any] = {"distributed.scheduler.allowed-failures": 0}
                settings |= {f"distributed.{each}.http.routes": [] for each in ("scheduler", "worker")}
                with dask.config.set(settings):
                    self._local = distributed.LocalCluster(
                        n_workers=jobs or os.cpu_count() or 1,
                        threads_per_worker=1,
                        processes=True,
                        host="127.0.0.1",
                        dashboard_address="127.0.0.1:0",
                        worker_dashboard_address="127.0.0.1:0",
                        silence_logs="CRITICAL",
                    )
            self._client = distributed.Client(self._local or address, timeout=10, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            if self._local is not None:
                self._local.close()
            said = str(error).splitlines()[0] if str(error) else "no answer"
            raise Unreachable(f"no Dask scheduler can be reached at {address or 'loopback'}: {said}") from None
        threads = sum(self._client.nthreads().values())
        self.jobs = jobs or max(threads, 1)
        if self._local is None and not threads:
            self._client.close()
            raise Unreachable(f"the Dask scheduler at {address} has no workers")

    @property
    def has_room(self) -> bool:
        """Whether fewer jobs are under way than may be."""
        return len(self._futures) < self.jobs

    def start(self, key: Any, job: Any) -> None:
        """Send a job to a worker."""
        future = self._client.submit(self._run, job, pure=False, retries=0)
        self._futures[future] = key

    def take(self) -> tuple[Any, Any]:
        """Wait for the next job that is over."""
        import distributed

        with self._client.as_current():
            done = distributed.wait(list(self._futures), return_when="FIRST_COMPLETED").done
        future = min(done, key=lambda each: str(self._futures[each]))
        key = self._futures.pop(future)
        try:
            return key, future.result()
        except distributed.scheduler.KilledWorker:
            return key, WorkerLost("its worker process died")
        except Exception as error:
            return key, error

    def close(self) -> None:
        """End the workers that were started here; of another cluster only leave."""
        for future in self._futures:
            future.cancel()
        self._client.close()
        if self._local is not None:
            self._local.close()
