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

RUNS = (CUTS, KILLS)
