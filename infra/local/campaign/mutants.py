"""Twelve mistakes, each planted by replacing one function while the mutant runs.

Nothing of them is in the product: no switch, no variable. A mutant of the producer
lives in the process that ``mutated`` starts, one of the layers in the process that
runs ``trials``.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from deltalake import DeltaTable
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

import silver.merge
import silver.trades
from conf.lake import commit_embedded
from conf.lake.commit_embedded import EmbeddedCommitter
from conf.lake.fence import Fence
from conf.lake.roots import table_uri
from conf.lake.tables import REJECTS, TableContract
from conf.market.envelope import encode_header, encode_line, pack, unpack
from conf.market.rfc3339 import format_ns, parse_ns
from conf.settings import LakeSettings
from producer.batcher import Record
from producer.gaps import Ledger
from producer.history_process import HistoryProcess
from producer.occurrence import Occurrences
from producer.segments import Place, Segments
from producer.sender import Sender

Function = Callable[..., Any]
_BACKFILL_LATE_NS = 2_000_000_000
"""The lookback of ``streams``, and one second of the gap itself."""


@dataclass(frozen=True)
class Mutant:
    """One planted mistake.

    Attributes:
        name: In the result.
        says: What is wrong.
        owner: Has the function.
        attribute: The function's name.
        wrap: Makes the wrong one from the right one.
        shows_as: What the oracle must find.
    """

    name: str
    says: str
    owner: Any
    attribute: str
    wrap: Callable[[Any], object]
    shows_as: Literal["lost", "duplicated", "altered"]

    @contextmanager
    def planted(self) -> Iterator[None]:
        """Put the mistake in its place, and the right function back."""
        right = getattr(self.owner, self.attribute)
        setattr(self.owner, self.attribute, self.wrap(right))
        try:
            yield
        finally:
            setattr(self.owner, self.attribute, right)


def _retry_all_under_new_names(settle: Function) -> Function:
    def wrong(self: Sender, batch: list[Any], codes: list[str | None]) -> bool:
        if any(codes):
            for entry, record in batch:
                entry.record = _renamed(record)
            codes = ["again"] * len(codes)
        return bool(settle(self, batch, codes))

    return wrong


def _renamed(record: Record) -> Record:
    header, lines = unpack(record.data)
    head = encode_header(header.kind, f"{header.epoch}+", header.source)
    again = [
        encode_line(msgspec.structs.replace(line, occurrence=line.occurrence + 1))
        for line in lines
    ]
    return record._replace(data=pack(head, again))


def _forget_failed_entries(settle: Function) -> Function:
    def wrong(self: Sender, batch: list[Any], codes: list[str | None]) -> bool:
        return bool(settle(self, batch, [None] * len(codes)))

    return wrong


def _acknowledge_before_the_disk_has_it(write: Function) -> Function:
    def wrong(self: Segments, entries: list[bytes]) -> list[Place]:
        (mark,) = write(self, entries[-1:])  # the records are in memory alone
        return [mark] * len(entries)

    return wrong


def _open_no_gap(_: Function) -> Function:
    return lambda *_, **__: []


def _number_nothing(_: Function) -> Function:
    return lambda *_: 0


def _ask_history_too_late(page: Function) -> Function:
    def wrong(
        self: HistoryProcess, resource: str, query: dict[str, str], now_s: float
    ) -> object:
        start = format_ns(parse_ns(query["start"]) + _BACKFILL_LATE_NS)
        return page(self, resource, {**query, "start": start}, now_s)

    return wrong


def _let_anybody_commit(_: Function) -> Function:
    return lambda *_: None


def _bound_by_the_newest_row(predicate: Function) -> Function:
    return lambda contract, ranges: predicate(
        contract, [(high, high) for _, high in ranges[-1:]]
    )


def _append_instead(_: Function) -> Function:
    return EmbeddedCommitter.append


def _begin_with_the_newest(read_stream: Function) -> Function:
    def wrong(
        spark: SparkSession,
        lake: LakeSettings,
        contract: TableContract,
        *,
        max_files: int,
    ) -> object:
        newest = DeltaTable(table_uri(lake.root, contract)).version()
        return read_stream(
            spark, lake, contract, max_files=max_files, first_version=newest
        )

    return wrong


def _without_rejects(
    tables: tuple[TableContract, ...],
) -> tuple[TableContract, ...]:
    return tuple(table for table in tables if table is not REJECTS)


def _round_prices(to_struct: Function) -> Function:
    return lambda: to_struct().withField("price", F.round("tick.d.p", 1))


IN_PRODUCER = (
    Mutant(
        "retry-under-new-names",
        "a failed entry makes the whole call go again, under new names",
        Sender,
        "_settle",
        _retry_all_under_new_names,
        "duplicated",
    ),
    Mutant(
        "failed-entries-forgotten",
        "entries that failed within an answered call are taken for stored",
        Sender,
        "_settle",
        _forget_failed_entries,
        "lost",
    ),
    Mutant(
        "acknowledged-before-fsync",
        "a frame counts as received before the disk has it",
        Segments,
        "write",
        _acknowledge_before_the_disk_has_it,
        "lost",
    ),
    Mutant(
        "gap-not-opened",
        "a lost connection opens no gap",
        Ledger,
        "lose",
        _open_no_gap,
        "lost",
    ),
    Mutant(
        "occurrences-dropped",
        "identical quotes of one instant are not numbered",
        Occurrences,
        "number",
        _number_nothing,
        "lost",
    ),
    Mutant(
        "backfill-begins-late",
        "history is asked for from a second after the gap began",
        HistoryProcess,
        "page",
        _ask_history_too_late,
        "lost",
    ),
)
IN_LAYERS = (
    Mutant(
        "fence-dropped",
        "a driver that was replaced may still commit",
        Fence,
        "check",
        _let_anybody_commit,
        "altered",
    ),
    Mutant(
        "merge-bound-narrowed",
        "a MERGE looks only where the newest row of the batch is",
        commit_embedded,
        "bounds_predicate",
        _bound_by_the_newest_row,
        "duplicated",
    ),
    Mutant(
        "merge-turned-append",
        "silver appends what it should merge",
        EmbeddedCommitter,
        "insert_missing",
        _append_instead,
        "duplicated",
    ),
    Mutant(
        "checkpoint-skips",
        "a query without its checkpoint begins with the newest commit",
        silver.merge,
        "read_stream",
        _begin_with_the_newest,
        "lost",
    ),
    Mutant(
        "rejects-swallowed",
        "what cannot be accepted is not kept",
        silver.merge,
        "TABLES",
        _without_rejects,
        "lost",
    ),
    Mutant(
        "price-altered",
        "prices of trades are rounded to ten cents",
        silver.trades,
        "to_struct",
        _round_prices,
        "altered",
    ),
)
