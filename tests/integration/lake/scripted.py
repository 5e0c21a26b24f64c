"""A scripted market as silver's tables take it, and these tables without Spark."""

import random
from dataclasses import dataclass, field
from datetime import timedelta

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from conf.lake.commit import Transaction
from conf.lake.commit_embedded import EmbeddedCommitter
from conf.lake.create import ensure_tables
from conf.lake.fence import open_fence
from conf.lake.read import scan
from conf.lake.roots import table_uri
from conf.lake.streams import ignore_report
from conf.lake.tables import BARS, CORRECTIONS, FEATURES, QUOTES, RECORDS, TRADES
from conf.settings import LakeSettings
from silver.built_bars import nanoseconds
from silver.matching import match
from silver.minutes import Minutes

SYMBOLS = ("AAPL", "BRK.B", "SPY")
_NAMED = ("trade_id", "price", "size")
LINEAGE = {
    "kind": "data",
    "epoch": "e1",
    "shard_id": "s",
    "sequence_number": "1",
    "position": 1,
}


def lineage(clock):
    times = ("receive_time", "market_time", "arrival_time", "ingest_time")
    return dict.fromkeys(times, clock) | LINEAGE


@dataclass
class Script:
    """A market whose ticks come late, out of order, and are corrected."""

    seed: int
    trades: list = field(default_factory=list)
    quotes: list = field(default_factory=list)
    corrections: list = field(default_factory=list)

    def __post_init__(self):
        self.random = random.Random(self.seed)
        self.waiting = []

    def trade(self, at, clock, **fields):
        row = {
            "event_time": at,
            "symbol": self.random.choice(SYMBOLS),
            "event_time_ns": nanoseconds(at),
            "exchange": "V",
            "trade_id": len(self.trades),
            "price": round(100 + self.random.gauss(0, 1), 2),
            "size": self.random.randrange(1, 500),
            "conditions": self.random.choice([["@"], ["@", "I"], None, ["@", "M"]]),
            "tape": "C",
            "day": at.date(),
        }
        self.trades.append(row | lineage(clock) | fields)
        return self.trades[-1]

    def quote(self, at, clock):
        bid = round(100 + self.random.gauss(0, 1), 2)
        row = {
            "event_time": at,
            "symbol": self.random.choice(SYMBOLS),
            "event_time_ns": nanoseconds(at),
            "quote_hash": self.random.getrandbits(60),
            "occurrence": 0,
            "bid_price": bid,
            "bid_size": 1,
            "ask_price": bid + 0.02,
            "ask_size": 1,
            "day": at.date(),
        }
        self.quotes.append(row | lineage(clock))
        return self.quotes[-1]

    def correction(self, trade, clock):
        """Correct a trade as it is now known, or cancel it."""
        corrected = {
            "corrected_trade_id": 100_000 + len(self.corrections),
            "corrected_price": round(trade["price"] + 5, 2),
            "corrected_size": trade["size"] + 1,
            "corrected_conditions": ["@"],
        }
        if self.random.random() < 0.4:
            self.amend(trade, clock, {})
            return
        self.amend(trade, clock, corrected)
        if self.random.random() < 0.4:
            chained = {n: corrected[f"corrected_{n}"] for n in _NAMED}
            self.correction(trade | chained, clock + timedelta(seconds=1))

    def amend(self, trade, clock, corrected):
        """Report that a trade is to be corrected, or with nothing cancelled."""
        meant = {name: trade[name] for name in _NAMED}
        row = {
            "event_time": clock,
            "symbol": trade["symbol"],
            "event_time_ns": nanoseconds(clock) + len(self.corrections),
            "message_hash": len(self.corrections),
            "match_state": "pending",
            "action": "correct" if corrected else "cancel",
            "exchange": "V",
            **meant,
            "day": clock.date(),
            "known_time": clock,
            **dict.fromkeys(
                [
                    "conditions",
                    "corrected_trade_id",
                    "corrected_price",
                    "corrected_size",
                    "corrected_conditions",
                    "trade_event_time_ns",
                    "tape",
                ]
            ),
        }
        self.corrections.append(row | corrected | lineage(clock))
        return self.corrections[-1]

    def batches(self, start, seconds, every_s=20):
        """Yield (clock, trades, quotes, corrections) as they come."""
        late = []
        for tick in range(0, seconds, every_s):
            clock = start + timedelta(seconds=tick)
            trades, quotes = [], []
            for _ in range(self.random.randrange(6)):
                at = clock - timedelta(seconds=self.random.uniform(0, 19))
                trade = self.trade(at, clock)
                if self.random.random() < 0.15:
                    # its correction may come before it
                    self.correction(trade, clock)
                (late if self.random.random() < 0.2 else trades).append(trade)
                quotes.append(self.quote(at, clock))
            if self.random.random() < 0.1:
                old = clock - timedelta(minutes=self.random.randrange(2, 40))
                quotes.append(self.quote(old, clock))
            if late and self.random.random() < 0.3:
                trades.append(late.pop(self.random.randrange(len(late))))
            self.random.shuffle(trades)
            yield clock, trades, quotes
        yield clock + timedelta(minutes=3), late, []


class Lake:
    """Silver's tables, written as the other queries of silver would."""

    def __init__(self, folder):
        self.settings = LakeSettings(
            root=str(folder / "lake"), checkpoints=str(folder / "checkpoints")
        )
        tables = [RECORDS, TRADES, QUOTES, BARS, CORRECTIONS, FEATURES]
        ensure_tables(self.settings.root, tables)
        self.fence = open_fence(self.settings.root, "silver", 15)
        self.committer = EmbeddedCommitter(self.settings, self.fence)
        self.matched = []

    def start(self):
        committer = EmbeddedCommitter(self.settings, self.fence)
        return Minutes(self.settings, committer, ignore_report)

    def append(self, contract, rows):
        if rows:
            names = contract.column_names
            full = [{name: row.get(name) for name in names} for row in rows]
            table = pa.Table.from_pylist(full, schema=contract.schema)
            uri = table_uri(self.settings.root, contract)
            if contract in (TRADES, QUOTES):
                # As silver does: a MERGE notes texts down in another way.
                once = Transaction("script", DeltaTable(uri).version())
                self.committer.insert_missing(contract, table, once)
            else:
                write_deltalake(uri, table, mode="append")

    def correct(self, trades, corrections):
        """Write what matching finds; ``self.matched`` is the table."""
        new = [row for row in corrections if row not in self.matched]
        self.matched += new
        self.append(CORRECTIONS, new)
        changed = match(self.matched, trades)
        self.matched += changed
        self.append(CORRECTIONS, changed)

    def rows(self, contract):
        return scan(self.settings.root, contract).to_pylist()
