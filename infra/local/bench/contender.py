"""What every contender of the benchmark is, and the tables that all of them fill."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import msgspec
import pyarrow as pa

from conf.lake.tables import QUOTES, TRADES, TableContract

# Where a row came from is bronze's and silver's own affair: no rival has to say it.
_OURS = frozenset(
    {"receive_time", "market_time", "arrival_time", "ingest_time", "kind", "epoch"}
    | {"shard_id", "sequence_number", "position"}
)
TABLES = (TRADES, QUOTES)

AT_ONCE_S = 20
"""Seconds of the market in one batch of a contender that catches up."""

OURS = "tickhouse"
PACKAGE = "infra.local.bench"
CONTENDERS = {
    OURS: "ours",
    "append": "plain",
    "append-uncompacted": "plain",
    "merge": "plain",
    "merge-bounded": "plain",
    "spark-defaults": "spark_rivals",
    "spark-tuned": "spark_rivals",
}
"""Name -> module; its ``VARIANTS`` makes them."""


class Taken(msgspec.Struct, frozen=True):
    """What a contender stored at once: consecutive seconds of the recording.

    ``cpu_s`` and ``rss_mb`` are of its process and all below it, since that began;
    ``life`` counts its processes from 0.
    """

    life: int
    first: int
    seconds: int
    ms: float
    cpu_s: float
    rss_mb: float

    @property
    def end(self) -> int:
        """The second after the last one."""
        return self.first + self.seconds


class Contender(Protocol):
    """A way from Kinesis records to the tables, alive until its process is killed."""

    def next_second(self) -> int:
        """Return the first second that this contender does not know to be stored."""
        ...

    def take(self, first: int, records: Sequence[Path]) -> None:
        """Store the records of some seconds; return when their rows can be read."""
        ...

    def finish(self) -> None:
        """Store what is still under way."""
        ...


def table_path(folder: Path, contract: TableContract) -> Path:
    """Return where a contender that keeps its tables in ``folder`` has one of them."""
    return folder / "lake" / contract.path


def schema_of(contract: TableContract) -> pa.Schema:
    """Return the columns that a rival must fill."""
    return pa.schema(field for field in contract.schema if field.name not in _OURS)
