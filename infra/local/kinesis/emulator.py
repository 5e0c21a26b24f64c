"""The parts that operations work on, wired once."""

import time
from collections.abc import Callable

from infra.local.kinesis.errors import invalid_argument
from infra.local.kinesis.faults import DuplicateFaults
from infra.local.kinesis.group_commit import GroupCommit
from infra.local.kinesis.limits import Limits
from infra.local.kinesis.messages import OfStream
from infra.local.kinesis.store import Store
from infra.local.kinesis.streams import Registry, Stream


def wall_clock_ms() -> int:
    """Return the time since the epoch in ms."""
    return time.time_ns() // 1_000_000


class Emulator:
    """One running Kinesis: what it has stored and how it behaves.

    Args:
        store: An open store, which the emulator's caller closes.
        limits: Budget of each shard.
        faults: Which entries are stored and answered as failed.
        now_ms: The wall clock, ms since the epoch.
    """

    def __init__(
        self,
        store: Store,
        *,
        limits: Limits,
        faults: DuplicateFaults,
        now_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        self.store = store
        self.limits = limits
        self.faults = faults
        self.now_ms = now_ms
        self.commits = GroupCommit(store)
        self.streams = Registry(store.load_streams(limits))

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
