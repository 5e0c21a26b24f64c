"""The parts that operations work on, wired once."""

import time
from collections.abc import Callable

from infra.local.kinesis import running_time
from infra.local.kinesis.errors import invalid_argument
from infra.local.kinesis.faults import Faults
from infra.local.kinesis.group_commit import GroupCommit
from infra.local.kinesis.limits import Limits
from infra.local.kinesis.messages import OfStream
from infra.local.kinesis.running_time import Pause
from infra.local.kinesis.sequence import position_at
from infra.local.kinesis.store import Store
from infra.local.kinesis.streams import HOUR_MS, Registry, Stream


def wall_clock_ms() -> int:
    """Return the time since the epoch in ms."""
    return time.time_ns() // 1_000_000


class Emulator:
    """One running Kinesis: what it has stored and how it behaves.

    Args:
        store: An open store, which the emulator's caller closes.
        limits: Budget of each shard.
        seed: Chooses what faults strike.
        now_ms: The wall clock, ms since the epoch.
    """

    def __init__(
        self,
        store: Store,
        *,
        limits: Limits,
        seed: int = 0,
        now_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        self.store = store
        self.limits = limits
        self.faults = Faults(now_ms, seed)
        self.now_ms = now_ms
        self.commits = GroupCommit(store)
        self.streams = Registry(store.load_streams(limits))
        self._last_alive_ms = store.last_alive_ms()
        self._pauses = store.load_pauses()

    def stream_of(self, request: OfStream) -> Stream:
        """Return the stream a request names.

        Raises:
            ApiError: InvalidArgumentException, ResourceNotFoundException.
        """
        if request.stream_name is not None:
            return self.streams.stream(request.stream_name)
        if request.stream_arn is not None:
            return self.streams.stream(request.stream_arn.rpartition("/")[2])
        raise invalid_argument("Either StreamName or StreamARN must be given.")

    def trim_horizon(self, stream: Stream) -> int:
        """Return the oldest position that a stream's retention still keeps."""
        now_ms = self.now_ms()
        retention_ms = stream.retention_hours * HOUR_MS
        # a machine that has just woken up: nobody has noted the pause yet
        ended = running_time.pause_between(self._last_alive_ms, now_ms)
        pauses = [*self._pauses, *filter(None, [ended])]
        return position_at(running_time.time_before(now_ms, retention_ms, pauses))

    def note_alive(self) -> tuple[int, Pause | None]:
        """Note that the process runs; return the time, and the pause that has ended."""
        now_ms = self.now_ms()
        ended = running_time.pause_between(self._last_alive_ms, now_ms)
        if ended:
            self._pauses.append(ended)
        self._last_alive_ms = now_ms
        return now_ms, ended
