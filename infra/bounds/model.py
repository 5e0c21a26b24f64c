"""A bound, the run that proves it, and the bounds that many runs share.

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


def smoke(*options: str) -> tuple[str, ...]:
    """The command of a smoke run."""
    return ("python", "-m", "infra", "smoke", *options)


def faultless(name: str, says: str) -> Bound:
    """Every message of the run is in the tables once, as it was sent."""
    return Bound(f"{name}-faults", f"{says}: lost + duplicated + altered", FAULTLESS, 0)


def percentile(name: str, stage: str, which: str, limit: float | None = None) -> Bound:
    """A latency of a smoke run, in seconds; without ``limit`` only reported."""
    return Bound(
        f"{name}-{stage}-{which}",
        f"{name}: {stage} latency {which}",
        (f"{stage}_latency_s.{which}",),
        limit,
        "s",
    )


def peak_memory(name: str, says: str, limit_mib: int) -> Bound:
    """What all processes of a smoke run held in memory, at most."""
    return Bound(
        f"{name}-memory",
        f"{says}: peak memory of all processes",
        ("peak_rss_mb.total",),
        round(limit_mib * MIB),
        "MB",
    )


def lag(name: str) -> tuple[Bound, Bound]:
    """How far a smoke run was behind at its end, and that it did not fall back."""
    return (
        Bound(f"{name}-lag", f"{name}: Kinesis lag at the end", ("lag_s",), 3.0, "s"),
        Bound(f"{name}-rising", f"{name}: lag rising (0 no)", ("lag_is_rising",), 0),
    )
