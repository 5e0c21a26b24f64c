"""What proves that an agent learns, that it is quick, and that its signals hold."""

from infra.bounds.model import Bound, Run


def _share(row: str, figure: str, least: float) -> Bound:
    of = {"iqm": "IQM of ten seeds", "worst": "worst of ten seeds"}[figure]
    return Bound(
        f"planted-{row.replace('_', '-')}-{figure}",
        f"planted, `{row}`: share of the optimum, {of}",
        (f"{row}.{figure}",),
        least,
        at_least=True,
    )


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

PLANTED = Run(
    "planted",
    ("python", "-m", "models", "planted"),
    (
        _share("visible_ar1", "iqm", 0.97),
        _share("visible_ar1", "worst", 0.93),
        Bound(
            "planted-cpu",
            "planted, `visible_ar1`: CPU of the slowest of ten trainings",
            ("visible_ar1.cpu_s_worst",),
            60,
            "s",
        ),
        _share("weak", "iqm", 0.93),
        _share("little_data", "iqm", 0.92),
        _share("hidden", "iqm", 0.97),
        _share("regimes", "iqm", 0.90),
        Bound(
            "planted-noise",
            "planted, noise: mean net",
            ("noise.mean_bp_per_min",),
            -0.005,
            "bp/min",
            at_least=True,
        ),
        Bound(
            "planted-claims",
            "planted: of 20 sets of noise, those with a claim of an edge",
            ("noise.claims",),
            1,
        ),
        _share("drift", "iqm", 0.98),
        Bound("planted-drift-claims", "planted, drift: claims", ("drift.claims",), 0),
        _share("positive_control", "iqm", 0.97),
        Bound(
            "planted-rejected",
            "planted: the control that sees the future is rejected",
            ("positive_control.rejected",),
            1,
            at_least=True,
        ),
    ),
)
SPEED = Run(
    "agent-speed",
    ("python", "-m", "tests.load.agent_speed"),
    (
        Bound(
            "agent-learns",
            "MaskablePPO on one core: decisions learnt from, environment included",
            ("learned_per_s.maskable-ppo",),
            10_000,
            "/s",
            at_least=True,
        ),
        Bound(
            "agent-scores-one",
            "scoring one symbol's bar, p99",
            ("score_one_ms.p99",),
            1,
            "ms",
        ),
        Bound(
            "agent-scores-all",
            "scoring 512 symbols' bars, p99",
            ("score_all_ms.p99",),
            5,
            "ms",
        ),
        Bound(
            "agent-decides-all",
            "the same with all five networks of the served model, p99",
            ("served_all_ms.p99",),
            None,
            "ms",
        ),
        Bound(
            "agent-batches",
            "of 1,000 rows, those with other bits in batches of 1, 7 or 1,000",
            ("rows_by_batch",),
            0,
        ),
        Bound(
            "agent-calibration",
            "expected calibration error of the served confidence, planted market",
            ("calibration_error",),
            0.03,
        ),
    ),
)
REAL_HOURS = tuple(
    Run(
        f"real-hours-{symbol}-{algorithm}",
        (
            *("python", "-m", "models", "train"),
            *("--bars", f"$TICKHOUSE_DATA/rl/hour-{symbol}.parquet"),
            *("--algo", algorithm, "--seeds", str(seeds), "--processes", "1"),
        ),
        (
            Bound(
                f"hours-{symbol}-{algorithm}-cpu",
                f"real hours, {symbol}, {algorithm}, {seeds} seeds: CPU",
                ("cpu_s",),
                5_400,
                "s",
            ),
        ),
    )
    for symbol in ("IBM", "AAPL")
    for algorithm, seeds in (("maskable-ppo", 10), ("dqn", 3), ("qr-dqn", 3))
)

RUNS = (SIGNALS, PLANTED, SPEED, *REAL_HOURS)
