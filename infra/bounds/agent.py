"""What proves that a live signal is what it says."""

from infra.bounds.model import Bound, Run

SIGNALS = Run(
    "live-signals",
    ("python", "-m", "infra.local.signals"),
    (
        Bound(
            "signals-replayed",
            "1,000 random live decisions at 60 times the pace: replay otherwise",
            ("replayed.differ",),
            0,
        ),
        Bound(
            "signals-decisions",
            "live-signals: decisions among those replayed",
            ("replayed.sampled",),
            1_000,
            at_least=True,
        ),
        Bound(
            "signals-compacted",
            "live-signals: replay otherwise after OPTIMIZE",
            ("replayed.differ_after_compaction",),
            0,
        ),
        Bound(
            "signals-backtest",
            "live-signals: differ from the as-known backtest, halts and corrections",
            ("backtest.differ",),
            0,
        ),
        Bound(
            "signals-missing",
            "live-signals: closed minutes without a signal",
            ("minutes_missing",),
            0,
        ),
        Bound("signals-broken", "live-signals: broken bounds", ("broken",), 0),
    ),
)

RUNS = (SIGNALS,)
