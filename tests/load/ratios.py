"""What grew, held against what is young: percentiles of both, and their ratios."""

from collections.abc import Sequence

import numpy as np

Figures = dict[str, float]


def percentiles(samples_ms: Sequence[float]) -> Figures:
    """Return p50, p99 and the largest, in milliseconds."""
    p50, p99 = np.percentile(samples_ms, [50, 99])
    return {
        "p50": round(float(p50), 2),
        "p99": round(float(p99), 2),
        "max": round(max(samples_ms), 2),
        "samples": len(samples_ms),
    }


def compared(
    young_ms: Sequence[float], grown_ms: Sequence[float]
) -> dict[str, Figures | float]:
    """Return the percentiles of both, and how many times the young one's each is."""
    young, grown = percentiles(young_ms), percentiles(grown_ms)
    return {
        "young_ms": young,
        "grown_ms": grown,
        "p50_ratio": round(grown["p50"] / young["p50"], 3),
        "p99_ratio": round(grown["p99"] / young["p99"], 3),
    }
