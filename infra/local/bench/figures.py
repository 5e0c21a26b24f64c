"""What a contender's batches say about its speed."""

from collections.abc import Sequence

import msgspec
import numpy as np

from infra.local.bench.contender import Taken

WARM_UP_SHARE = 0.2
"""Of the batches of each of its processes; at least one."""


class Speed(msgspec.Struct, frozen=True):
    """How fast a contender is once it is warm.

    Attributes:
        batch_ms: p50 and p99 of storing one second of the market, in its first life.
        cpu_s_per_million: CPU time of all its processes for a million messages then.
        first_ms: Its very first batch.
        messages_per_s: Where it catches up, many seconds at once, in its second life.
        back_s: From its second start to the first batch stored then.
        peak_rss_mb: Most memory of all its processes.
        batches: How many were measured, in the first life and in the second.
    """

    batch_ms: dict[str, float]
    cpu_s_per_million: float
    first_ms: float
    messages_per_s: float
    back_s: float
    peak_rss_mb: float
    batches: list[int]


def speed_of(batches: Sequence[Taken], messages: Sequence[int], back_s: float) -> Speed:
    """Return the speed that these batches show.

    Args:
        batches: In the order in which they were stored; two lives.
        messages: Of each second of the recording.
        back_s: See ``Speed``.
    """
    steady, catching_up = (_warm(batches, life) for life in (0, 1))
    p50, p99 = np.percentile([batch.ms for _, batch in steady], [50, 99])
    cpu_s = sum(batch.cpu_s - cpu_before_s for cpu_before_s, batch in steady)
    caught_up_s = sum(batch.ms for _, batch in catching_up) / 1000
    return Speed(
        batch_ms={"p50": round(float(p50), 1), "p99": round(float(p99), 1)},
        cpu_s_per_million=round(cpu_s / _sum(steady, messages) * 1e6, 2),
        first_ms=batches[0].ms,
        messages_per_s=round(_sum(catching_up, messages) / caught_up_s, 1),
        back_s=round(back_s, 1),
        peak_rss_mb=round(max(batch.rss_mb for batch in batches), 1),
        batches=[len(steady), len(catching_up)],
    )


Warm = list[tuple[float, Taken]]
"""Warm batches, each with the CPU time that its process had used before."""


def _warm(batches: Sequence[Taken], life: int) -> Warm:
    """Leave out the first batches of a life, unless it has no other."""
    lived = [batch for batch in batches if batch.life == life]
    cold = max(1, int(len(lived) * WARM_UP_SHARE))
    before_s = [0.0, *(batch.cpu_s for batch in lived)]
    pairs = list(zip(before_s, lived, strict=False))
    return pairs[cold:] or pairs


def _sum(warm: Warm, messages: Sequence[int]) -> int:
    return sum(sum(messages[batch.first : batch.end]) for _, batch in warm)
