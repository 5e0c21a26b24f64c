"""A reader of its own process: notes when each Delta commit can first be seen.

``python -m infra.local.reader --lake <folder> --out <file>`` looks every 100 ms for
the next commit of each watched table and appends one JSON line per commit it meets.
It asks for one file name per table and look, so it costs the pipeline nothing; what
the commits hold is read after the run (``latency``).
"""

import signal
import threading
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote

import msgspec

WATCHED = (
    "bronze.records",
    "silver.trades",
    "silver.quotes",
    "silver.bars",
    "gold.symbol_stats",
)
LOOK_EVERY_S = 0.1


class Sighting(msgspec.Struct, frozen=True):
    """One commit as a reader met it.

    Attributes:
        table: ``<layer>.<table>``.
        version: Delta version.
        seen_ns: Wall clock of the look that found it.
        added: Files with new rows, relative to the table; none for a compaction.
        rows: Rows in these files, as the commit says.
        newest_arrival: Their greatest ``arrival_time``, where the commit says.
    """

    table: str
    version: int
    seen_ns: int
    added: list[str]
    rows: int = 0
    newest_arrival: datetime | None = None


class _Greatest(msgspec.Struct, frozen=True):
    arrival_time: datetime | None = None


class _Stats(msgspec.Struct, rename="camel"):
    num_records: int = 0
    max_values: _Greatest = _Greatest()


class _Add(msgspec.Struct, rename="camel"):
    path: str
    data_change: bool
    stats: str | None = None


class _Action(msgspec.Struct):
    add: _Add | None = None


class TableLog:
    """The commits of one table, one after the other."""

    def __init__(self, lake: Path, table: str) -> None:
        self._table = table
        self._log = lake / table.replace(".", "/") / "_delta_log"
        self._next_version = 0

    def new_commits(self) -> Iterator[Sighting]:
        """Yield the commits since the last call; none while there is no table."""
        while commit := self._read(self._next_version):
            self._next_version += 1
            yield commit

    def _read(self, version: int) -> Sighting | None:
        try:
            text = (self._log / f"{version:020d}.json").read_bytes()
            seen_ns = time.time_ns()
            actions = [
                msgspec.json.decode(line, type=_Action) for line in text.splitlines()
            ]
        except (FileNotFoundError, msgspec.DecodeError):
            return None  # not there, or not yet whole: the next look sees it
        adds = [a.add for a in actions if a.add and a.add.data_change]
        stats = [msgspec.json.decode(add.stats or "{}", type=_Stats) for add in adds]
        arrivals = [s.max_values.arrival_time for s in stats]
        return Sighting(
            table=self._table,
            version=version,
            seen_ns=seen_ns,
            added=[unquote(add.path) for add in adds],
            rows=sum(s.num_records for s in stats),
            newest_arrival=max(filter(None, arrivals), default=None),
        )


def watch(lake: Path, out: Path, stopped: threading.Event) -> None:
    """Append every commit of the watched tables to ``out`` until told to stop."""
    logs = [TableLog(lake, table) for table in WATCHED]
    with out.open("ab") as file:
        while not stopped.wait(LOOK_EVERY_S):
            for log in logs:
                for commit in log.new_commits():
                    file.write(msgspec.json.encode(commit) + b"\n")
            file.flush()


def read_sightings(out: Path) -> list[Sighting]:
    """Return what ``watch`` noted, in the order of time."""
    return [
        msgspec.json.decode(line, type=Sighting)
        for line in out.read_bytes().splitlines()
    ]


def main() -> None:
    """Watch until SIGTERM."""
    parser = ArgumentParser(description=main.__doc__)
    parser.add_argument("--lake", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    watch(given.lake, given.out, stopped)


if __name__ == "__main__":
    main()
