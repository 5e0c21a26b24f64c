"""What proves the way from ticks to gold."""

from infra.bounds.model import (
    FAULTLESS,
    Bound,
    Run,
    faultless,
    lag,
    peak_memory,
    percentile,
    smoke,
)

SMOKE = Run(
    "smoke",
    smoke(),
    (
        faultless("smoke", "4,096/s, 300 s"),
        Bound("smoke-broken", "smoke: broken bounds", ("broken",), 0),
        Bound(
            "smoke-rate", "smoke: sent", ("rate_per_s",), 4075.5, "/s", at_least=True
        ),
        percentile("smoke", "silver", "p99", 5.0),
        percentile("smoke", "gold", "p99", 5.0),
        percentile("smoke", "late", "max", 90.0),
        *lag("smoke"),
        Bound(
            "smoke-first-gold",
            "smoke: first row of gold",
            ("warm_up.first_gold_s",),
            60.0,
            "s",
        ),
        peak_memory("smoke", "smoke", 8 * 1024),
    ),
)

SPARK = Run(
    "smoke-spark",
    smoke("--engine", "spark"),
    (
        faultless("smoke-spark", "engine spark"),
        percentile("smoke-spark", "silver", "p99"),
        percentile("smoke-spark", "gold", "p99"),
    ),
)

DOUBLE = Run(
    "smoke-8192",
    smoke("--rate", "8192"),
    (
        faultless("smoke-8192", "8,192/s"),
        *lag("smoke-8192"),
        percentile("smoke-8192", "silver", "p99"),
        percentile("smoke-8192", "gold", "p99"),
    ),
)

HEAVY = Run(
    "smoke-20000",
    smoke("--rate", "20000"),
    (
        Bound(
            "smoke-20000-faults",
            "20,000/s: lost + duplicated + altered",
            FAULTLESS,
            None,
        ),
        percentile("smoke-20000", "silver", "p95"),
        percentile("smoke-20000", "gold", "p95"),
        Bound("smoke-20000-lag", "20,000/s: lag at the end", ("lag_s",), None, "s"),
    ),
)

SMALL = Run(
    "small",
    smoke("--profile", "small"),
    (
        faultless("small", "profile small"),
        peak_memory("small", "profile small", 4096),
    ),
)

FAKEPACA = Run(
    "fakepaca",
    smoke("--feed", "test", "--symbols", "FAKEPACA", "--seconds", "120"),
    (faultless("fakepaca", "/v2/test, FAKEPACA alone"),),
)

HOT = Run(
    "hot-symbol",
    smoke("--rate", "400", "--seconds", "60"),
    (faultless("hot-symbol", "one symbol at 1,000/s beside quiet ones"),),
    {"TICKHOUSE_SIMULATOR__HOT_SYMBOL": "TSLA"},
)


def _replay(folder: str, *more: Bound) -> Run:
    name = f"replay-{folder.removesuffix('-taq-XXX')}"
    return Run(
        name,
        smoke("--rate", "4096", "--replay", f"$TICKHOUSE_DATA/ticks/{folder}"),
        (faultless(name, f"replay of {folder}"), *more),
    )


REPLAYS = (
    _replay(
        "2013-10-07",
        Bound(
            "replay-2013-10-07-volume",
            "minutes whose volume is the recording's, of 2,309",
            ("recording.equal_volume",),
            2297,
            "minutes",
            at_least=True,
        ),
        Bound(
            "replay-2013-10-07-high-low",
            "minutes whose high and low are the recording's",
            ("recording.equal_high_low",),
            None,
            "minutes",
        ),
    ),
    _replay("2018-01-02-taq-XXX"),
    _replay("2018-01-03-taq-XXX"),
)

FAULTS = tuple(
    Run(
        fault,
        ("python", "-m", "infra.local.faults", fault),
        (faultless(fault, fault.replace("-", " ")),),
    )
    for fault in (
        "kill-producer",
        "kill-emulator",
        "kill-driver",
        "freeze-driver",
        "delete-checkpoints",
    )
)

SECOND_START = Run(
    "second-start",
    ("python", "-m", "infra.local.second_start"),
    (
        Bound(
            "second-start",
            "second start: first row of gold",
            ("first_gold_s",),
            60.0,
            "s",
        ),
    ),
)

_CLONE = "rm -rf var/clone && git clone -q . var/clone && cd var/clone"


def _ci(name: str, preparation: str, limit_min: int) -> Run:
    return Run(
        name,
        ("sh", "-c", f"{_CLONE} && {preparation}.ci/run"),
        (
            Bound(f"{name}-time", f".ci/run, {name}", ("wall_s",), limit_min * 60, "s"),
            Bound(f"{name}-exit", f".ci/run, {name}: exit code", ("exit_code",), 0),
        ),
    )


RUNS = (
    SMOKE,
    SPARK,
    DOUBLE,
    HEAVY,
    SMALL,
    FAKEPACA,
    HOT,
    *REPLAYS,
    *FAULTS,
    SECOND_START,
    _ci("ci-cold", 'UV_CACHE_DIR="$PWD/var/uv" ', 25),
    _ci("ci-warm", "", 15),
)
