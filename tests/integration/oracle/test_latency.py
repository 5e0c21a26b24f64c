"""A reader's log and a hand-made minute: every delay can be checked by hand."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import msgspec
import pytest
from deltalake import DeltaTable

from infra.local import recount, truth
from infra.local.latency import measure
from infra.local.oracle import open_database
from infra.local.reader import Sighting, TableLog
from infra.local.shown import ShownTrade, load_trades
from tests.integration.oracle.example_market import (
    MINUTE,
    QUOTES,
    TRADES,
    Row,
    bar,
    bar_row,
    quote_row,
    stats_row,
    text_of,
    trade_row,
    write_table,
)

START_NS = 1_772_465_500 * 10**9


@dataclass
class Observed:
    """A lake and a reader that looks when it is told to."""

    root: Path
    sightings: list[Sighting] = field(default_factory=list)
    logs: dict[str, TableLog] = field(default_factory=dict)

    def commit(self, table: str, rows: list[Row], *, seen_s: float) -> None:
        write_table(self.root, table, rows)
        self.look(table, seen_s=seen_s)

    def look(self, table: str, *, seen_s: float) -> list[Sighting]:
        log = self.logs.setdefault(table, TableLog(self.root, table))
        seen_ns = START_NS + int(seen_s * 1e9)
        new = [msgspec.structs.replace(s, seen_ns=seen_ns) for s in log.new_commits()]
        self.sightings += new
        return new


@pytest.fixture
def observed(tmp_path: Path) -> Observed:
    return Observed(tmp_path / "lake")


@pytest.fixture
def db(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_database(tmp_path) as connection:
        yield connection


def send(db: duckdb.DuckDBPyConnection, folder: Path, *sent: tuple[float, str, Row]):
    """Make the truth of messages, each with its time in seconds and its flag."""
    lines = [
        f"{START_NS + int(due_s * 1e9)}\t{flag}\t{text_of(message)}\n"
        for due_s, flag, message in sent
    ]
    (folder / "messages-00001.tsv").write_text("".join(lines))
    truth.load_sent(db, folder)
    truth.expect(db)
    recount.load_counted_trades(db)


def test_silver_counts_from_the_first_sending_to_the_first_sight(
    db: duckdb.DuckDBPyConnection, observed: Observed, tmp_path: Path
):
    first, second, third = TRADES[:3]
    sent = ((0, "n", first), (1, "n", second), (1.2, "r", first), (2, "n", third))
    send(db, tmp_path, *sent)
    observed.commit("silver.trades", [trade_row(0), trade_row(1)], seen_s=1.5)
    # a rewritten file shows the first trade again
    observed.commit("silver.trades", [trade_row(2), trade_row(0)], seen_s=4.0)
    found = measure(db, observed.root, observed.sightings, warm_up_s=0)
    delays = [1.5, 0.5, 2.0]
    assert found["silver_latency_s"]["p50"] == sorted(delays)[1]
    assert found["silver_latency_s"]["max"] == max(delays)


def test_identical_quotes_are_two_events(
    db: duckdb.DuckDBPyConnection, observed: Observed, tmp_path: Path
):
    send(db, tmp_path, (0, "n", QUOTES[0]), (1, "n", QUOTES[1]))
    observed.commit("silver.quotes", [quote_row(5)], seen_s=0.5)
    observed.commit("silver.quotes", [quote_row(6)], seen_s=4.0)
    found = measure(db, observed.root, observed.sightings, warm_up_s=0)
    assert found["silver_latency_s"] == {
        "p50": 1.75, "p95": 2.875, "p99": 2.975, "max": 3.0,
    }  # fmt: skip


def test_bars_and_their_revisions_count_too(
    db: duckdb.DuckDBPyConnection, observed: Observed, tmp_path: Path
):
    send(db, tmp_path, (0, "n", bar("b", 157)), (1, "n", bar("u", 164)))
    observed.commit("silver.bars", [bar_row(9, 0, 157)], seen_s=0.5)
    observed.commit("silver.bars", [bar_row(10, 3, 164)], seen_s=3.0)
    found = measure(db, observed.root, observed.sightings, warm_up_s=0)
    assert found["silver_latency_s"]["max"] == 2.0


def test_gold_counts_until_a_minutes_count_includes_the_trade(
    db: duckdb.DuckDBPyConnection, observed: Observed, tmp_path: Path
):
    # trade 4 is an official price: no count ever includes it
    messages = [TRADES[0], TRADES[1], TRADES[3], TRADES[2]]
    send(db, tmp_path, *((float(s), "n", m) for s, m in enumerate(messages)))
    prices = [190.0, 190.25, 190.5]
    observed.commit("gold.symbol_stats", [stats_row(MINUTE, prices[:1], 1)], seen_s=2)
    observed.commit("gold.symbol_stats", [stats_row(MINUTE, prices, 1)], seen_s=5)
    observed.commit("gold.symbol_stats", [stats_row(MINUTE, prices[:2], 1)], seen_s=9)
    found = measure(db, observed.root, observed.sightings, warm_up_s=0)
    # sent at 0, 1 and 3; included at 2, 5 and 5
    assert found["gold_latency_s"] == {"p50": 2.0, "p95": 3.8, "p99": 3.96, "max": 4.0}


def test_the_stream_counts_until_it_first_shows_a_trade(
    db: duckdb.DuckDBPyConnection, observed: Observed, tmp_path: Path
):
    #  due      0      1      2 (late)   3 (only in a snapshot)   4 (not shown)
    #  shown  0.25    1.5    9
    flags = "nnlnn"
    send(db, tmp_path, *((float(i), flags[i], TRADES[i]) for i in range(5)))
    seen_s = (0.25, 1.5, 9.0, None)
    load_trades(db, [shown_trade(i, s) for i, s in enumerate(seen_s)])
    found = measure(db, observed.root, [], warm_up_s=0, has_stream=True)
    assert found["tail_latency_s"] == {
        "p50": 0.375, "p95": 0.487, "p99": 0.497, "max": 0.5,
    }  # fmt: skip
    assert found["late_latency_s"]["max"] is None
    warm = measure(db, observed.root, [], warm_up_s=1, has_stream=True)
    assert warm["warm_up"]["tail_latency_s"]["max"] == 0.25
    assert warm["tail_latency_s"]["max"] == 0.5


def test_without_a_listener_there_is_no_tail_latency(
    db: duckdb.DuckDBPyConnection, observed: Observed, tmp_path: Path
):
    send(db, tmp_path, (0, "n", TRADES[0]))
    assert measure(db, observed.root, [], warm_up_s=0)["tail_latency_s"] is None


def shown_trade(message: int, seen_s: float | None) -> ShownTrade:
    row = trade_row(message)
    return ShownTrade(
        symbol="AAPL",
        exchange=row["exchange"],
        trade_id=row["trade_id"],
        event_time_ns=row["event_time_ns"],
        price=row["price"],
        size=row["size"],
        seen_ns=None if seen_s is None else START_NS + int(seen_s * 1e9),
    )


def test_late_rows_and_the_warm_up_are_apart(
    db: duckdb.DuckDBPyConnection, observed: Observed, tmp_path: Path
):
    first, second, third = TRADES[:3]
    send(db, tmp_path, (0, "n", first), (10, "l", second), (20, "n", third))
    rows = [trade_row(0), trade_row(1), trade_row(2)]
    observed.commit("silver.trades", rows, seen_s=21)
    found = measure(db, observed.root, observed.sightings, warm_up_s=5)
    assert found["silver_latency_s"]["max"] == 1.0
    assert found["late_latency_s"]["max"] == 11.0
    assert found["warm_up"]["silver_latency_s"]["max"] == 21.0
    assert found["warm_up"]["seconds"] == 5
    assert found["gold_latency_s"]["max"] is None


def test_a_compaction_brings_no_rows(observed: Observed):
    observed.commit("silver.trades", [trade_row(0)], seen_s=1)
    observed.commit("silver.trades", [trade_row(1)], seen_s=2)
    DeltaTable(observed.root / "silver" / "trades").optimize.compact()
    (compaction,) = observed.look("silver.trades", seen_s=3)
    assert compaction.added == []
    assert [s.rows for s in observed.sightings] == [0, 1, 1, 0]


def test_a_half_written_commit_is_seen_when_it_is_whole(observed: Observed):
    observed.commit("silver.trades", [trade_row(0)], seen_s=1)
    log = observed.root / "silver" / "trades" / "_delta_log"
    half = log / f"{2:020d}.json"
    half.write_text('{"add":{"path":"a%3Ab","dataChange":tr')
    assert observed.look("silver.trades", seen_s=2) == []
    half.write_text('{"add":{"path":"a%3Ab","dataChange":true}}')
    (whole,) = observed.look("silver.trades", seen_s=3)
    assert whole.added == ["a:b"]
