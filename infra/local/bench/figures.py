"""What a contender's batches say about its speed."""

from collections.abc import Sequence
from itertools import pairwise

import msgspec
import numpy as np

from infra.local.bench.contender import Taken

WARM_UP_SHARE = 0.2
"""Of the batches of each of its processes; at least one."""


class Speed(msgspec.Struct, frozen=True):
    """How fast a contender is once it is warm.

    Attributes:
        messages_per_s: Of a contender that never waits.
        batch_ms: p50 and p99 of storing one second of the market.
        first_ms: Its very first batch.
        cpu_s_per_million: CPU time of all its processes for a million messages.
        peak_rss_mb: Most memory of all its processes.
        batches: How many were measured.
        back_s: From its second start to its first batch stored then.
    """

    messages_per_s: float
    batch_ms: dict[str, float]
    first_ms: float
    cpu_s_per_million: float
    peak_rss_mb: float
    batches: int
    back_s: float


def speed_of(batches: Sequence[Taken], messages: Sequence[int], back_s: float) -> Speed:
    """Return the speed that these batches show.

    Args:
        batches: In the order in which they were stored; two lives.
        messages: Of each second of the recording.
        back_s: See ``Speed``.
    """
    warm = [pair for life in _lives(batches) for pair in _warm(life)]
    sizes = [messages[batch.second] for _, batch in warm]
    taken_ms = [batch.ms for _, batch in warm]
    cpu_s = sum(batch.cpu_s - before.cpu_s for before, batch in warm)
    p50, p99 = np.percentile(taken_ms, [50, 99])
    return Speed(
        messages_per_s=round(sum(sizes) / sum(taken_ms) * 1000, 1),
        batch_ms={"p50": round(float(p50), 1), "p99": round(float(p99), 1)},
        first_ms=batches[0].ms,
        cpu_s_per_million=round(cpu_s / sum(sizes) * 1e6, 2),
        peak_rss_mb=max(batch.rss_mb for batch in batches),
        batches=len(warm),
        back_s=round(back_s, 1),
    )


def _lives(batches: Sequence[Taken]) -> list[list[Taken]]:
    lives = dict.fromkeys(batch.life for batch in batches)
    return [[batch for batch in batches if batch.life == life] for life in lives]


def _warm(life: list[Taken]) -> list[tuple[Taken, Taken]]:
    """Return each warm batch beside the one before it."""
    cold = max(1, int(len(life) * WARM_UP_SHARE))
    return list(pairwise(life))[cold - 1 :]
