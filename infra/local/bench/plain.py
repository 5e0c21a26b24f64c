"""Plain Python and deltalake, as a careful engineer writes it in an afternoon.

Messages are parsed and checked by msgspec, doubles are kept out by what the variant is
named after, and a file says how far it is, written after both tables.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable, write_deltalake

from conf.lake.tables import QUOTES, TRADES, TableContract
from conf.market import wire
from conf.market.rfc3339 import parse_ns
from infra.local.bench.contender import TABLES, schema_of, table_path

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FUTURE_MAX_NS = 5_000_000_000
_COMPACT_EVERY = 50
Row = tuple[Any, ...]
Rows = dict[str, list[Row]]
Write = Callable[[TableContract, DeltaTable, pa.Table], None]


class _Line(msgspec.Struct, gc=False):
    market_ns: int = msgspec.field(name="m")
    message: wire.Message = msgspec.field(name="d")
    occurrence: int = msgspec.field(name="o", default=0)


_decode = msgspec.json.Decoder(_Line).decode


class Plain:
    """One process that polls, parses, drops doubles and writes.

    Args:
        folder: Holds its tables.
        write: Writes one table's new rows.
        remembers: Whether it keeps the keys of all rows in memory; else those of one
            batch only.
        compacts: Whether it compacts after every fifty commits.
    """

    def __init__(
        self, folder: Path, write: Write, *, remembers: bool, compacts: bool
    ) -> None:
        self._position = folder / "position"
        self._write, self._remembers, self._compacts = write, remembers, compacts
        self._tables = {
            contract: DeltaTable.create(
                str(table_path(folder, contract)),
                schema_of(contract),
                mode="ignore",
                partition_by=["day"],
            )
            for contract in TABLES
        }
        self._seen: set[Row] = set()
        self._commits = 0

    def next_second(self) -> int:
        """See ``Contender.next_second``."""
        return int(self._position.read_text()) if self._position.exists() else 0

    def take(self, first: int, records: Sequence[Path]) -> None:
        """See ``Contender.take``."""
        read = pa.concat_tables(pq.read_table(x, columns=["data"]) for x in records)
        rows = self._new(read["data"].to_pylist())
        self._commits += 1
        for contract, table in self._tables.items():
            if rows[contract.name]:
                self._write(contract, table, _arrow(contract, rows[contract.name]))
            if self._compacts and self._commits % _COMPACT_EVERY == 0:
                table.optimize.compact()
        fresh = self._position.with_suffix(".new")
        fresh.write_text(str(first + len(records)))
        fresh.replace(self._position)

    def finish(self) -> None:
        """Do nothing: a second is stored when it was taken."""

    def _new(self, payloads: Iterable[bytes]) -> Rows:
        if not self._remembers:
            self._seen = set()
        rows: Rows = {contract.name: [] for contract in TABLES}
        for table, key, row in _parsed(payloads):
            if key not in self._seen:
                self._seen.add(key)
                rows[table].append(row)
        return rows


def append(contract: TableContract, table: DeltaTable, rows: pa.Table) -> None:
    """Add the rows as they are."""
    write_deltalake(table, rows, mode="append")


def merge(
    contract: TableContract, table: DeltaTable, rows: pa.Table, *, bounded: bool
) -> None:
    """Add the rows whose key is not there.

    Args:
        contract: Has the key.
        table: Where to.
        rows: Of one batch.
        bounded: Say between which event times to look, as literals that prune files.
    """
    condition = " AND ".join(f"t.{name} = u.{name}" for name in contract.key)
    if bounded:
        times = pc.min_max(rows["event_time"]).as_py()
        within = (
            f"t.event_time >= TIMESTAMP '{times['min']:%Y-%m-%d %H:%M:%S.%f}Z'"
            f" AND t.event_time <= TIMESTAMP '{times['max']:%Y-%m-%d %H:%M:%S.%f}Z'"
        )
        condition = f"t.day = u.day AND {within} AND {condition}"
    merger = table.merge(rows, condition, source_alias="u", target_alias="t")
    merger.when_not_matched_insert_all().execute()


VARIANTS: dict[str, Callable[[Path], Plain]] = {
    "append": partial(Plain, write=append, remembers=True, compacts=True),
    "append-uncompacted": partial(Plain, write=append, remembers=True, compacts=False),
    "merge": partial(
        Plain, write=partial(merge, bounded=False), remembers=False, compacts=True
    ),
    "merge-bounded": partial(
        Plain, write=partial(merge, bounded=True), remembers=False, compacts=True
    ),
}


def _parsed(payloads: Iterable[bytes]) -> Iterator[tuple[str, Row, Row]]:
    """Yield table, key and row of each acceptable trade and quote."""
    for payload in payloads:
        for line in payload.split(b"\n")[1:]:
            try:
                told = _decode(line)
                event_ns = parse_ns(told.message.event_time)
            except (msgspec.DecodeError, ValueError):
                continue  # what cannot be read: a real one would store it elsewhere
            if event_ns > told.market_ns + _FUTURE_MAX_NS:
                continue
            time = _EPOCH + timedelta(microseconds=event_ns // 1000)
            match told.message:
                case wire.Trade() as trade if trade.price > 0:
                    yield TRADES.name, *_trade(trade, time, event_ns)
                case wire.Quote() as quote:
                    number = zlib.crc32(line[line.index(b'"d":') :])
                    place = (event_ns, number, told.occurrence)
                    yield QUOTES.name, *_quote(quote, time, place)


def _trade(t: wire.Trade, time: datetime, event_ns: int) -> tuple[Row, Row]:
    key = (t.symbol, t.exchange, t.trade_id, event_ns)
    fields = (t.exchange, t.trade_id, t.price, t.size, t.conditions, t.tape)
    return key, (time, t.symbol, event_ns, *fields, time.date())


def _quote(
    q: wire.Quote, time: datetime, place: tuple[int, int, int]
) -> tuple[Row, Row]:
    bid = (q.bid_exchange, q.bid_price, q.bid_size)
    ask = (q.ask_exchange, q.ask_price, q.ask_size)
    row = (time, q.symbol, *place, *bid, *ask, q.conditions, q.tape, time.date())
    return (q.symbol, *place), row


def _arrow(contract: TableContract, rows: list[Row]) -> pa.Table:
    schema = schema_of(contract)
    columns = zip(*rows, strict=True)
    arrays = [pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)]
    return pa.table(arrays, schema)
