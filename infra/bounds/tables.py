"""What proves silver and gold: their tables may grow, and work off a backlog."""

from collections.abc import Iterator

from infra.bounds.model import FAULTLESS, Bound, Run, faultless

P50_RATIO, P99_RATIO = 1.3, 2.0
_DRIVER_MB = 5_000
"""Of the driver with everything below it: 3 GiB of heap, and what is beside it."""


def _ratios(part: str, says: str) -> Iterator[Bound]:
    for quantile, most in (("p50", P50_RATIO), ("p99", P99_RATIO)):
        yield Bound(
            f"scale-{part}-{quantile}",
            f"{says}: {quantile}, times the young one's",
            (f"{part}.{quantile}_ratio",),
            most,
            "times",
        )


SCALE = Run(
    "silver-scale",
    ("python", "-m", "tests.load.silver_scale"),
    (
        *_ratios("batch", "silver batch at 10 million rows in one day, 0.1 % late"),
        *_ratios("commit", "commit to a table of 25,000 commits, with maintenance"),
        Bound(
            "scale-faults",
            "silver-scale: lost + duplicated",
            ("batch.lost", "batch.duplicated", "commit.lost", "commit.duplicated"),
            0,
        ),
    ),
)

BACKLOG = Run(
    "backlog",
    ("python", "-m", "tests.load.backlog"),
    (
        faultless("backlog", "ten minutes of backlog"),
        Bound(
            "backlog-rate",
            "ten minutes of backlog: drained, times the input rate",
            ("times_input_rate",),
            2.0,
            "times",
            at_least=True,
        ),
        Bound(
            "backlog-memory",
            "backlog: peak memory of the driver",
            ("peak_rss_mb",),
            _DRIVER_MB,
            "MB",
        ),
        Bound(
            "backlog-growth",
            "backlog: its peak in the second half, times that of the first",
            ("rss_growth",),
            1.25,
            "times",
        ),
    ),
)

_OURS = "tickhouse"
_RIVALS = (
    "append",
    "append-uncompacted",
    "merge",
    "merge-bounded",
    "spark-defaults",
    "spark-tuned",
)


def _beside(name: str) -> Iterator[Bound]:
    """A speed, and what is wrong with the rows that it wrote."""
    of = f"contenders.{name}"
    wrong = tuple(f"{of}.{fault}" for fault in FAULTLESS)
    most = 0 if name == _OURS else None
    yield Bound(
        f"bench-{name}-faults",
        f"bench, {name}: lost + duplicated + altered after a kill",
        wrong,
        most,
    )
    yield Bound(
        f"bench-{name}-p50",
        f"bench, {name}: one second of the market stored, p50",
        (f"{of}.batch_ms.p50",),
        None,
        "ms",
    )
    yield Bound(
        f"bench-{name}-rate",
        f"bench, {name}: catches up",
        (f"{of}.messages_per_s",),
        None,
        "/s",
    )


BENCH = Run(
    "bench",
    ("python", "-m", "infra", "bench"),
    tuple(bound for name in (_OURS, *_RIVALS) for bound in _beside(name)),
)

RESTARTS = Run(
    "restarts",
    ("python", "-m", "infra.local.restarts"),
    (
        faultless("restarts", "driver and minutes killed in five markets of an hour"),
        Bound(
            "restarts-features",
            "restarts: rows of features, equal to one computation to the last bit",
            ("features",),
            5_000,
            at_least=True,
        ),
    ),
)

QUALITY = Run(
    "quality-delay",
    ("python", "-m", "infra.local.quality_delay"),
    (
        Bound(
            "quality-delay",
            "a row that breaks a rule at 4,096/s: told in `quality.results`, slowest",
            ("told_after_s.max",),
            60.0,
            "s",
        ),
        Bound("quality-delay-broken", "quality-delay: broken bounds", ("broken",), 0),
        faultless("quality-delay", "wrong rows beside 4,096/s"),
    ),
)

RUNS = (SCALE, BACKLOG, BENCH, RESTARTS, QUALITY)
