"""A small market: what it sent, what Kinesis stored of it, and the correct lake.

Long because the correct lake spells out every column of every table.
"""

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
from deltalake import write_deltalake

from conf.lake.create import create_table
from conf.lake.tables import TABLES
from conf.market.envelope import Line, encode_header, encode_line, pack
from infra.local.kinesis.sequence import position_at, sequence_base, sequence_number
from infra.local.kinesis.store import DATABASE_NAME, Store

Row = dict[str, Any]
Lake = dict[str, list[Row]]
"""Rows by table."""

MINUTE = datetime(2026, 3, 2, 15, 30, tzinfo=UTC)
MINUTE_NS = int(MINUTE.timestamp()) * 10**9
CREATED_MS = MINUTE_NS // 10**6 - 60_000
ARRIVED = MINUTE + timedelta(seconds=90)
RECEIVE_NS = MINUTE_NS + 89_123_456_789
RECEIVED = MINUTE + timedelta(microseconds=89_123_456)
SHARD = "shardId-000000000000"
RESENT, FIRST = 0, 1


def rfc3339(offset_ns: int) -> str:
    seconds, ns = divmod(offset_ns, 10**9)
    return f"{MINUTE + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.{ns:09d}Z"


def trade(i: int, offset_ns: int, price: float, size: int, *conditions: str) -> Row:
    return {
        "T": "t", "S": "AAPL", "i": i, "x": "V", "p": price, "s": size,
        "c": list(conditions), "t": rfc3339(offset_ns), "z": "C",
    }  # fmt: skip


def quote(offset_ns: int, bid: float, size: int) -> Row:
    return {
        "T": "q", "S": "AAPL", "bx": "V", "bp": bid, "bs": size, "ax": "Q",
        "ap": 190.5, "as": 2, "c": ["R"], "t": rfc3339(offset_ns), "z": "C",
    }  # fmt: skip


def bar(type_: str, volume: int) -> Row:
    return {
        "T": type_, "S": "AAPL", "o": 190.0, "h": 190.5, "l": 190.0, "c": 190.25,
        "v": volume, "n": 3, "vw": 190.2, "t": f"{MINUTE:%Y-%m-%dT%H:%M:%SZ}",
    }  # fmt: skip


def text_of(message: object) -> str:
    return json.dumps(message, separators=(",", ":"))


TRADES = [
    trade(1, 1_000_000_001, 190.0, 100, "@"),
    trade(2, 1_000_000_001, 190.25, 50, "@", "I"),
    trade(3, 2_500_000_000, 190.5, 7),
    trade(4, 59_999_999_999, 190.5, 9_000, "@", "M"),  # an official price
    trade(5, 60_000_000_000, 191.1, 10, "@"),
]
QUOTES = [quote(5, 190.0, 3), quote(5, 190.0, 3), quote(5, 190.0, 4), quote(6, 190, 3)]
BARS = [bar("b", 157), bar("u", 164)]
CORRECTION = {
    "T": "c", "S": "AAPL", "x": "V", "oi": 1, "op": 190.0, "os": 100, "oc": ["@"],
    "ci": 6, "cp": 190.1, "cs": 90, "cc": ["@", "I"], "t": rfc3339(70 * 10**9),
    "z": "C",
}  # fmt: skip
CANCELS = [
    {"T": "x", "S": "AAPL", "x": "V", "i": i, "p": 190.1, "s": 90, "a": a,
     "t": rfc3339(71 * 10**9), "z": "C"}
    for i, a in ((6, "C"), (99, "E"))
]  # fmt: skip
STATUSES = [
    {"T": "s", "S": "AAPL", "sc": "H", "sm": "Trading Halt", "rc": "T1", "rm": "News",
     "t": rfc3339(72 * 10**9), "z": "C"},
    {"T": "l", "S": "AAPL", "u": 199.5, "d": 180.5, "i": "B",
     "t": rfc3339(73 * 10**9), "z": "C"},
]  # fmt: skip
RARE = [CORRECTION, *CANCELS, *STATUSES, bar("d", 157)]
BROKEN = '[{"T":"t","S":"AAPL","i":10'
MALFORMED = [
    text_of({"T": "t", "i": 9, "p": 1.0}),
    BROKEN,
    text_of({"T": "t", "S": "AAPL", "c": "A" * 200_000}),
]
MESSAGES = [
    *map(text_of, [*TRADES, *QUOTES, *BARS]),
    *MALFORMED,
    *map(text_of, RARE),
]
FLAGS = "nnnnl" + "nono" + "nn" + "mmm" + "nnnnnn"
OCCURRENCES = {6: 1}


GAP = {
    "T": "gap", "S": "AAPL", "t": "2026-03-02T15:30:40Z", "gap_id": "E0/trades/AAPL",
    "state": "opened", "channel": "trades", "cause": "cut",
    "from": "2026-03-02T15:30:38.25Z",
}  # fmt: skip
GAPS = [
    GAP,
    GAP | {"state": "lost", "to": "2026-03-02T15:30:39Z", "rows": 0, "detail": "no"},
]
ORDER = {
    "stream": "trade_updates",
    "data": {
        "event": "new", "timestamp": "2026-03-02T15:30:50.000000001Z",
        "order": {"id": "o1", "symbol": "AAPL", "qty": "100", "status": "new"},
    },
}  # fmt: skip
FILL = {
    "stream": "trade_updates",
    "data": ORDER["data"] | {"event": "fill", "execution_id": "x1", "price": "190.5"},
}


def write_truth(folder: Path) -> None:
    """What the market sent; the first trade came twice."""
    rows = zip(FLAGS + "r", [*MESSAGES, MESSAGES[0]], strict=True)
    lines = [f"{RECEIVE_NS}\t{flag}\t{text}\n" for flag, text in rows]
    for number, part in enumerate((lines[:6], lines[6:])):
        (folder / f"messages-{number:05d}.tsv").write_text("".join(part))


def write_kinesis(folder: Path) -> Path:
    """One record with everything, after the copy whose answer was lost."""
    with closing(Store(folder)) as store:
        store.writer.execute(
            'INSERT INTO shards (key, stream_name, "index", hash_start, hash_end,'
            " created_ms, last_position) VALUES (1, 's', 0, '0', '1', ?, 0)",
            (CREATED_MS,),
        )
        for count, data in enumerate(payloads()):
            row = (1, position(count), "AAPL", data)
            store.writer.execute("INSERT INTO records VALUES (?, ?, ?, ?)", row)
        ledger = ("s", SHARD, number(RESENT))
        store.writer.execute("INSERT INTO injected_duplicates VALUES (?, ?, ?)", ledger)
    return folder / DATABASE_NAME


def payloads() -> list[bytes]:
    """One record with everything, after its copy; then those of other kinds."""
    market = pack(encode_header("data", "E1", "simulator/iex"), wire_lines())
    heartbeat = encode_header("heartbeat", "E1", "simulator/iex")
    gaps = pack(encode_header("gap", "run", "simulator/iex"), ledger_lines(GAPS))
    orders = pack(
        encode_header("data", "A1", "simulator/trade_updates"),
        ledger_lines([ORDER, FILL]),
    )
    return [market, market, heartbeat, gaps, orders]


def ledger_lines(messages: list[Row]) -> list[bytes]:
    return [
        encode_line(
            Line(i, 0, RECEIVE_NS, RECEIVE_NS, 0, msgspec.Raw(text_of(m).encode()))
        )
        for i, m in enumerate(messages)
    ]


def wire_lines() -> list[bytes]:
    lines = []
    for frame, text in enumerate(MESSAGES):
        place = (frame, 0, RECEIVE_NS, RECEIVE_NS)
        if text == BROKEN:
            lines.append(Line(*place, error="no JSON", raw=text))
        else:
            lines.append(
                Line(*place, OCCURRENCES.get(frame, 0), msgspec.Raw(text.encode()))
            )
    return [encode_line(line) for line in lines]


def position(count: int) -> int:
    return position_at(int(ARRIVED.timestamp() * 1000)) + count


def number(count: int) -> str:
    return sequence_number(sequence_base(0, CREATED_MS), position(count))


def correct_lake() -> Lake:
    return {
        "bronze.records": bronze_rows(),
        "silver.trades": [trade_row(i) for i in range(5)],
        "silver.quotes": [quote_row(i) for i in range(5, 9)],
        "silver.bars": [
            bar_row(9, 0, 157),
            bar_row(10, 3, 164),
            bar_row(19, 3, 157, length_s=86_400),
            history_bar(),
        ],
        "silver.corrections": [
            correction_row("pending"),
            correction_row("matched"),
            cancel_row(15, "pending"),
            cancel_row(15, "matched"),
            cancel_row(16, "pending"),
        ],
        "silver.statuses": [status_row(), band_row()],
        "silver.gaps": [gap_row(0), gap_row(1)],
        "silver.orders": [order_row(0), order_row(1)],
        "silver.rejects": [reject_row(11, FIRST), reject_row(12, FIRST), huge_reject()],
        "gold.symbol_stats": [
            # the trade at 190.0 was corrected, then cancelled
            stats_row(MINUTE, [190.25, 190.5], 57, corrections=2),
            stats_row(MINUTE + timedelta(minutes=1), [191.1], 10),
            *sliding_rows(),
        ],
    }


def bronze_rows() -> list[Row]:
    return [
        {
            "arrival_time": ARRIVED,
            "shard_id": SHARD,
            "sequence_number": number(count),
            "partition_key": "AAPL",
            "ingest_time": ARRIVED,
            "data": data,
            "day": ARRIVED.date(),
        }
        for count, data in enumerate(payloads())
    ]


def lineage(message: int) -> Row:
    return {
        "receive_time": RECEIVED,
        "market_time": RECEIVED,
        "arrival_time": ARRIVED,
        "ingest_time": ARRIVED,
        "kind": "data",
        "epoch": "E1",
        "shard_id": SHARD,
        "sequence_number": number(FIRST),
        "position": message + 1,
        "day": MINUTE.date(),
        "symbol": "AAPL",
    }


def event(message: int, offset_ns: int) -> Row:
    return lineage(message) | {
        "event_time": MINUTE + timedelta(microseconds=offset_ns // 1000),
        "event_time_ns": MINUTE_NS + offset_ns,
        "tape": "C",
    }


def trade_row(message: int) -> Row:
    sent = TRADES[message]
    offsets = (1_000_000_001, 1_000_000_001, 2_500_000_000, 59_999_999_999, 60 * 10**9)
    return event(message, offsets[message]) | {
        "exchange": "V",
        "trade_id": sent["i"],
        "price": sent["p"],
        "size": sent["s"],
        "conditions": sent["c"],
    }


def quote_row(message: int) -> Row:
    sent = QUOTES[message - 5]
    return event(message, 6 if message == 8 else 5) | {
        "quote_hash": 1,
        "occurrence": OCCURRENCES.get(message, 0),
        "bid_exchange": "V",
        "bid_price": sent["bp"],
        "bid_size": sent["bs"],
        "ask_exchange": "Q",
        "ask_price": 190.5,
        "ask_size": 2,
        "conditions": ["R"],
    }


def amendment_row(message: int, offset_s: int, state: str) -> Row:
    root_ns = MINUTE_NS + 1_000_000_001
    return event(message, offset_s * 10**9) | {
        "message_hash": message,
        "match_state": state,
        "exchange": "V",
        "trade_event_time_ns": root_ns if state == "matched" else None,
        "known_time": RECEIVED,
    }


def correction_row(state: str) -> Row:
    return amendment_row(14, 70, state) | {
        "action": "correct",
        "trade_id": 1,
        "price": 190.0,
        "size": 100,
        "conditions": ["@"],
        "corrected_trade_id": 6,
        "corrected_price": 190.1,
        "corrected_size": 90,
        "corrected_conditions": ["@", "I"],
    }


def cancel_row(message: int, state: str) -> Row:
    sent = CANCELS[message - 15]
    return amendment_row(message, 71, state) | {
        "action": {"C": "cancel", "E": "error"}[sent["a"]],
        "trade_id": sent["i"],
        "price": 190.1,
        "size": 90,
    }


def status_row() -> Row:
    return event(17, 72 * 10**9) | {
        "message_hash": 1,
        "channel": "status",
        "status_code": "H",
        "status_message": "Trading Halt",
        "reason_code": "T1",
        "reason_message": "News",
    }


def band_row() -> Row:
    return event(18, 73 * 10**9) | {
        "message_hash": 2,
        "channel": "luld",
        "limit_up_price": 199.5,
        "limit_down_price": 180.5,
        "indicator": "B",
    }


def gap_row(nth: int) -> Row:
    origin = {"kind": "gap", "epoch": "run", "sequence_number": number(3)}
    opened = (
        lineage(nth)
        | origin
        | {
            "start_time": MINUTE + timedelta(seconds=38.25),
            "gap_id": "E0/trades/AAPL",
            "state": "opened",
            "channel": "trades",
            "cause": "cut",
            "known_time": MINUTE + timedelta(seconds=40),
        }
    )
    end = {"end_time": MINUTE + timedelta(seconds=39), "backfilled_rows": 0}
    return opened | {"state": "lost", "detail": "no"} | end if nth else opened


def order_row(nth: int) -> Row:
    origin = {"epoch": "A1", "sequence_number": number(4)}
    new = (
        event(nth, 50 * 10**9 + 1)
        | origin
        | {
            "tape": None,
            "order_id": "o1",
            "event": "new",
            "execution_id": "",
            "status": "new",
            "quantity": 100.0,
        }
    )
    fill = {"event": "fill", "execution_id": "x1", "fill_price": 190.5}
    return new | fill if nth else new


def bar_row(message: int, revision: int, volume: int, *, length_s: int = 60) -> Row:
    return lineage(message) | {
        "window_start": MINUTE,
        "bar_length_s": length_s,
        "source": "alpaca",
        "revision": revision,
        "window_end": MINUTE + timedelta(seconds=length_s),
        "open": 190.0,
        "high": 190.5,
        "low": 190.0,
        "close": 190.25,
        "volume": volume,
        "trade_count": 3,
        "vwap": 190.2,
        "known_time": RECEIVED,
    }


def history_bar() -> Row:
    """A bar of the session before: no part of the truth."""
    start = MINUTE - timedelta(days=1)
    times = {"window_start": start, "window_end": start + timedelta(minutes=1)}
    return bar_row(9, 0, 5) | times | {"kind": "history", "day": start.date()}


def closed_minutes() -> Lake:
    """Return our bar of the minute that is over, and the features of both bars."""
    before = history_bar()["window_start"]
    bar = bar_row(9, 0, 57) | dict.fromkeys(lineage(9)) | {"symbol": "AAPL"}
    bar |= {"source": "trades", "trade_count": 2, "day": MINUTE.date()}
    bar |= dict.fromkeys(("open", "high", "low", "close", "vwap"), 190.5)
    return {
        "silver.bars": [bar],
        "silver.features": [
            features_row(before, 1, -1379, 1769),  # a Sunday, before the session
            features_row(MINUTE, 2, 61, 329)
            | {"missing_minutes": 1439}
            | {"price_change": 0.25, "return_1m": 0.25 / 190.25}
            | {"bid_price": 190.0, "ask_price": 190.5}
            | {"spread_bps": 0.5 / 190.25 * 10_000},
        ],
    }


def features_row(
    start: datetime, bar_count: int, since_open: int, to_close: int
) -> Row:
    return {
        "window_start": start,
        "symbol": "AAPL",
        "bar_length_s": 60,
        "revision": 0,
        "window_end": start + timedelta(minutes=1),
        "known_time": RECEIVED,
        "bar_source": "trades",
        "bar_revision": 0,
        "is_warm": False,
        "bar_count": bar_count,
        "missing_minutes": 0,
        "minutes_since_open": since_open,
        "minutes_to_close": to_close,
        "day": start.date(),
    }


def reject_row(message: int, record: int) -> Row:
    line = wire_lines()[message].decode()
    return {
        "arrival_time": ARRIVED,
        "shard_id": SHARD,
        "sequence_number": number(record),
        "position": message + 1,
        "reason": "no symbol",
        "message": BROKEN if MESSAGES[message] == BROKEN else line[:65_536],
        "ingest_time": ARRIVED,
        "day": ARRIVED.date(),
    }


def huge_reject() -> Row:
    """The resent copy's row: another Kinesis record, the same message."""
    return reject_row(13, RESENT)


def stats_row(
    start: datetime, prices: list[float], volume: int, *, corrections: int = 0
) -> Row:
    exact = [round(price * 1e6) for price in prices]
    count, total, squares = len(exact), sum(exact), sum(e * e for e in exact)
    variance = (squares - total**2 / count) / (count - 1) / 1e12 if count > 1 else None
    low, high = min(exact), max(exact) + 1
    return {
        "window_start": start,
        "symbol": "AAPL",
        "window_length_s": 60,
        "window_end": start + timedelta(minutes=1),
        "trade_count": count,
        "volume": volume,
        "price_min": min(prices),
        "price_max": max(prices),
        "price_mean": total / count / 1e6,
        "price_variance": variance,
        "price_stddev": None if variance is None else variance**0.5,
        "price_sum_e6": total,
        "price_sum_squares_e12": squares,
        "price_buckets": [{"low_e6": low, "high_e6": high, "trade_count": count}],
        "correction_count": corrections,
        "is_final": True,
        "source_version": 7,
        "updated_time": ARRIVED,
        "day": start.date(),
        "window_length": "1m",
        "hour": start.hour,
    }


def sliding_rows() -> list[Row]:
    rows = []
    for minutes, name in ((5, "5m"), (15, "15m"), (60, "1h")):
        first = MINUTE + timedelta(minutes=1 - minutes)
        one = stats_row(first, [190.25, 190.5], 57, corrections=2)
        later = first + timedelta(minutes=1)
        two = stats_row(later, [190.25, 190.5, 191.1], 67, corrections=2)
        # the price ranges are those of the minutes, one after the other
        parts = [stats_row(first, [190.25, 190.5], 0), stats_row(first, [191.1], 0)]
        ranges = [part["price_buckets"][0] for part in parts]
        length = {"window_length_s": 60 * minutes, "window_length": name}
        for row in (one, two | {"price_buckets": ranges}):
            end = row["window_start"] + timedelta(minutes=minutes)
            rows.append(row | length | {"window_end": end})
    return rows


def write_table(root: Path, table: str, rows: list[Row]) -> None:
    contract = TABLES[table]
    create_table(str(root / contract.path), contract)
    append_rows(root, table, rows)


def append_rows(root: Path, table: str, rows: list[Row]) -> None:
    contract = TABLES[table]
    rows_of_schema = arrow(rows, contract.schema)
    write_deltalake(root / contract.path, rows_of_schema, mode="append")


def arrow(rows: list[Row], schema: pa.Schema) -> pa.Table:
    return pa.Table.from_pylist([dict.fromkeys(schema.names) | r for r in rows], schema)
