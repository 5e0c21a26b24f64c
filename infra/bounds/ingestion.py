"""What proves the way into Kinesis."""

from infra.bounds.model import Bound, Run, faultless

CUTS = Run(
    "cuts",
    ("python", "-m", "infra.local.ingestion.cuts", "--events", "50", "--seed", "1"),
    (
        faultless("cuts", "50 cuts, mutes, slow-client events"),
        Bound(
            "cuts-wrongly-lost",
            "gaps called lost though REST had everything",
            ("wrongly_lost",),
            0,
        ),
        Bound(
            "cuts-wrongly-filled",
            "gaps of halts and price bands (no history) not called lost",
            ("wrongly_filled",),
            0,
        ),
        Bound(
            "cuts-intervals",
            "ledger intervals: largest difference to the truth",
            ("intervals_worst_s",),
            1.0,
            "s",
        ),
        Bound(
            "cuts-unmatched",
            "intervals of ledger or truth that the other lacks",
            ("intervals_unmatched",),
            0,
        ),
    ),
)

KILLS = Run(
    "kills",
    ("python", "-m", "infra.local.ingestion.kills", "--seed", "1"),
    (
        faultless("kills", "kill -9 of producer (30) and emulator (10)"),
        Bound(
            "kills-spooled",
            "records on the spool's disk that never came to Kinesis",
            ("spooled_lost",),
            0,
        ),
    ),
)

RATE = Run(
    "ingestion-rate",
    ("python", "-m", "tests.load.ingestion_rate"),
    (
        Bound(
            "ingestion-rate",
            "simulator, producer and emulator on two cores",
            ("read_per_s",),
            19_600.0,
            "msg/s",
            at_least=True,
        ),
        Bound("ingestion-rate-lost", "lost at 20,000 msg/s", ("lost",), 0),
        Bound(
            "ingestion-cost",
            "CPU of producer and emulator per million messages",
            ("cpu_s_per_million.producer and emulator",),
            None,
            "s",
        ),
    ),
)

MEMORY = Run(
    "ingestion-memory",
    ("python", "-m", "tests.load.ingestion_rate", "--minutes", "30", "--rate", "4096"),
    (
        Bound(
            "producer-memory",
            "producer's memory over 30 minutes: growth per 10 minutes",
            ("rss_mb_per_10_min.producer",),
            1.0,
            "MB",
        ),
        Bound(
            "emulator-memory",
            "emulator's memory over 30 minutes: growth per 10 minutes",
            ("rss_mb_per_10_min.emulator",),
            1.0,
            "MB",
        ),
        Bound("ingestion-memory-lost", "lost in 30 minutes", ("lost",), 0),
    ),
)

_RESHARDED = ("split-shard", "merge-shards", "split-while-driver-is-down")
RESHARD = Run(
    "reshard",
    (
        *("python", "-m", "infra", "faults"),
        *(word for name in _RESHARDED for word in ("--only", name)),
    ),
    (faultless("reshard", "shards split and merged, running and while down"),),
)

CAMPAIGN = Run(
    "faults",
    ("python", "-m", "infra", "faults"),
    (
        faultless("campaign", "fault campaign"),
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

RUNS = (CUTS, KILLS, RATE, MEMORY, RESHARD, CAMPAIGN)
