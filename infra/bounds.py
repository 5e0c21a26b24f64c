"""The bounds of each issue, as data: what to run, what to read from it, what must hold.

A run prints one JSON object as its last line; ``evidence`` adds ``exit_code`` and
``wall_s``. One run may prove several bounds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

MIB = 1024**2 / 1e6
"""One MiB in MB."""

FAULTLESS = ("lost", "duplicated", "altered")


@dataclass(frozen=True)
class Bound:
    """One figure of a run.

    Attributes:
        name: Names the measurement's file.
        says: What is measured, for the README.
        paths: Dotted keys of the result; their values are added up, a list counts as
            its length and true as 1.
        limit: What the value must not exceed; None: it is only reported.
        unit: Of the value.
        at_least: The limit is a floor.
    """

    name: str
    says: str
    paths: tuple[str, ...]
    limit: float | None
    unit: str = ""
    at_least: bool = False


@dataclass(frozen=True)
class Run:
    """One command and the bounds that its result proves.

    Attributes:
        command: ``python`` is the project's own; ``$TICKHOUSE_DATA`` the folder of the
            recordings.
        environment: Added to the caller's.
    """

    name: str
    command: tuple[str, ...]
    bounds: tuple[Bound, ...]
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def spelled(self) -> str:
        """The command as a person would type it."""
        settings = (f"{name}={value}" for name, value in self.environment.items())
        words = (f"'{word}'" if " " in word else word for word in self.command)
        return " ".join([*settings, *words])


def _smoke(*options: str) -> tuple[str, ...]:
    return ("python", "-m", "infra", "smoke", *options)


def _faultless(name: str, says: str) -> Bound:
    return Bound(f"{name}-faults", f"{says}: lost + duplicated + altered", FAULTLESS, 0)


def _percentile(
    name: str, stage: str, percentile: str, limit: float | None = None
) -> Bound:
    return Bound(
        f"{name}-{stage}-{percentile}",
        f"{name}: {stage} latency {percentile}",
        (f"{stage}_latency_s.{percentile}",),
        limit,
        "s",
    )


def _peak_memory(name: str, says: str, limit_mib: int) -> Bound:
    return Bound(
        f"{name}-memory",
        f"{says}: peak memory of all processes",
        ("peak_rss_mb.total",),
        round(limit_mib * MIB),
        "MB",
    )


def _lag(name: str) -> tuple[Bound, Bound]:
    return (
        Bound(f"{name}-lag", f"{name}: Kinesis lag at the end", ("lag_s",), 3.0, "s"),
        Bound(f"{name}-rising", f"{name}: lag rising (0 no)", ("lag_is_rising",), 0),
    )


SMOKE = Run(
    "smoke",
    _smoke(),
    (
        _faultless("smoke", "4,096/s, 300 s"),
        Bound("smoke-broken", "smoke: broken bounds", ("broken",), 0),
        Bound(
            "smoke-rate", "smoke: sent", ("rate_per_s",), 4075.5, "/s", at_least=True
        ),
        _percentile("smoke", "silver", "p99", 5.0),
        _percentile("smoke", "gold", "p99", 5.0),
        _percentile("smoke", "late", "max", 90.0),
        *_lag("smoke"),
        Bound(
            "smoke-first-gold",
            "smoke: first row of gold",
            ("warm_up.first_gold_s",),
            60.0,
            "s",
        ),
        _peak_memory("smoke", "smoke", 8 * 1024),
    ),
)

SPARK = Run(
    "smoke-spark",
    _smoke("--engine", "spark"),
    (
        _faultless("smoke-spark", "engine spark"),
        _percentile("smoke-spark", "silver", "p99"),
        _percentile("smoke-spark", "gold", "p99"),
    ),
)

DOUBLE = Run(
    "smoke-8192",
    _smoke("--rate", "8192"),
    (
        _faultless("smoke-8192", "8,192/s"),
        *_lag("smoke-8192"),
        _percentile("smoke-8192", "silver", "p99"),
        _percentile("smoke-8192", "gold", "p99"),
    ),
)

HEAVY = Run(
    "smoke-20000",
    _smoke("--rate", "20000"),
    (
        Bound(
            "smoke-20000-faults",
            "20,000/s: lost + duplicated + altered",
            FAULTLESS,
            None,
        ),
        _percentile("smoke-20000", "silver", "p95"),
        _percentile("smoke-20000", "gold", "p95"),
        Bound("smoke-20000-lag", "20,000/s: lag at the end", ("lag_s",), None, "s"),
    ),
)

SMALL = Run(
    "small",
    _smoke("--profile", "small"),
    (
        _faultless("small", "profile small"),
        _peak_memory("small", "profile small", 4096),
    ),
)

FAKEPACA = Run(
    "fakepaca",
    _smoke("--feed", "test", "--symbols", "FAKEPACA", "--seconds", "120"),
    (_faultless("fakepaca", "/v2/test, FAKEPACA alone"),),
)

HOT = Run(
    "hot-symbol",
    _smoke("--rate", "400", "--seconds", "60"),
    (_faultless("hot-symbol", "one symbol at 1,000/s beside quiet ones"),),
    {"TICKHOUSE_SIMULATOR__HOT_SYMBOL": "TSLA"},
)


def _replay(folder: str, *more: Bound) -> Run:
    name = f"replay-{folder.removesuffix('-taq-XXX')}"
    return Run(
        name,
        _smoke("--rate", "4096", "--replay", f"$TICKHOUSE_DATA/ticks/{folder}"),
        (_faultless(name, f"replay of {folder}"), *more),
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
        (_faultless(fault, fault.replace("-", " ")),),
    )
    for fault in (
        "kill-producer",
        "kill-emulator",
        "kill-driver",
        "freeze-driver",
        "delete-checkpoints",
    )
)

CAMPAIGN = Run(
    "faults",
    ("python", "-m", "infra", "faults"),
    (
        _faultless("campaign", "fault campaign"),
        Bound(
            "campaign-mutants",
            "fault campaign: mutants caught, of 12",
            ("mutants_caught",),
            12,
            "mutants",
            at_least=True,
        ),
        Bound(
            "campaign-recovery",
            "fault campaign: recovery to the next silver commit, p95",
            ("recovery_s.p95",),
            45.0,
            "s",
        ),
        Bound("campaign-time", "fault campaign: length", ("seconds",), 1_200.0, "s"),
        Bound("campaign-broken", "fault campaign: broken bounds", ("broken",), 0),
    ),
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

TESTS = Run(
    "tests",
    ("python", "-m", "pytest", "-q"),
    (
        Bound(
            "tests", "unit, integration, contract tests: exit code", ("exit_code",), 0
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


ISSUES: dict[str, tuple[Run, ...]] = {
    "main-job": (
        TESTS,
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
    ),
    "ingestion": (CAMPAIGN,),
}
"""The runs of each issue, in the order in which they are measured."""
