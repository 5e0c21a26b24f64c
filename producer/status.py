"""The producer's state as a small file, for whoever watches it."""

import os
from pathlib import Path
from typing import Literal

import msgspec

from producer.subscription import Mismatch

State = Literal["connecting", "live", "backoff", "held", "draining"]


class Status(msgspec.Struct, frozen=True):
    """What the producer is doing; written each second.

    ``behind_ms`` is the age of the oldest message that Kinesis has not acknowledged,
    ``last_frame_age_s`` is null before the first frame. ``spool_problem`` says why the
    disk takes nothing; ``spool_full`` is true then, and when the spool has its bound.
    ``gaps_open`` counts the symbols of channels that do not come at present,
    ``gaps_unsettled`` those too that came again and were not filled yet, ``gaps_lost``
    those that history should have filled and did not. ``spool_unreadable`` counts the
    records that backfill could not read back, ``spool_damaged`` those that could not be
    sent, for their bytes changed on disk or are gone. ``account_state`` is that of the
    account stream, null when it is not asked for; ``market_open`` is what the calendar
    says, true where there is none.
    """

    state: State
    epoch: str
    messages_per_s: float
    messages_total: int
    records_total: int
    retried_entries: int
    queue_depth: int
    last_frame_age_s: float | None
    behind_ms: float
    subscription_mismatch: Mismatch | None
    spool_bytes: int
    spool_full: bool
    spool_problem: str | None
    spool_commit_ms: float
    gaps_open: int
    gaps_unsettled: int
    gaps_lost: int
    backfilled_rows: int
    spool_unreadable: int
    spool_damaged: int
    rest_throttled: int
    connections: int
    slow_client_errors: int
    account_state: State | None = None
    account_connections: int = 0
    market_open: bool = True


def write_status(path: Path, status: Status) -> None:
    """Replace the file at once: a reader sees the old state or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    draft.write_bytes(msgspec.json.encode(status))
    os.replace(draft, path)
