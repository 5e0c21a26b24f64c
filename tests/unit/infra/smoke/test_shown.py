"""What a listener heard, and how it is compared with rows of the tables."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec

from infra.local.shown import ShownTrade, collect, sample, stats_differences
from infra.local.stream_reader import Heard

TOLD = {
    "symbol": "AAPL",
    "window_start": "2026-11-23T15:00:00.000000Z",
    "window_end": "2026-11-23T15:01:00.000000Z",
    "window_length_s": 60,
    "trade_count": 3,
    "volume": 300,
    "price_min": 99.5,
    "price_max": 101.0,
    "price_mean": 100.1,
    "price_variance": 0.30000000000000004,
    "price_stddev": None,
    "is_final": False,
    "source_version": "1152921504606846976",
    "updated_time": "2026-11-23T15:00:30.123400Z",
}
STORED = TOLD | {
    "window_start": datetime(2026, 11, 23, 15, 0, tzinfo=UTC),
    "window_end": datetime(2026, 11, 23, 15, 1, tzinfo=UTC),
    "source_version": 2**60,
    "updated_time": datetime(2026, 11, 23, 15, 0, 30, 123_400, tzinfo=UTC),
}


def heard(seen_ns: int, topic: str, **data: Any) -> Heard:
    return Heard(seen_ns, topic, msgspec.Raw(json.dumps(data).encode()))


def ticker(seen_ns: int, trade_id: int | None, *, snapshot: bool = False) -> Heard:
    last = trade_id and {
        "price": 100.5,
        "size": 7,
        "event_time_ns": str(10**18 + trade_id),
        "exchange": "V",
        "trade_id": str(trade_id),
    }
    return heard(seen_ns, "ticker", snapshot=snapshot, symbols={"AAPL": {"last": last}})


def test_a_trade_counts_from_its_first_showing():
    shown = collect([ticker(1, 5), ticker(2, 5), ticker(3, None), ticker(4, 6)])
    assert shown.trades == [
        ShownTrade("AAPL", "V", 5, 10**18 + 5, 100.5, 7, seen_ns=1),
        ShownTrade("AAPL", "V", 6, 10**18 + 6, 100.5, 7, seen_ns=4),
    ]


def test_a_snapshot_s_trade_has_no_moment():
    shown = collect([ticker(1, 5, snapshot=True), ticker(2, 5)])
    assert [trade.seen_ns for trade in shown.trades] == [None]


def test_statistics_are_kept_by_version():
    events = [
        heard(1, "stats", table_version=None, rows=[], snapshot=True),
        heard(2, "stats", table_version="7", rows=[{"symbol": "A"}], snapshot=False),
        heard(3, "stats", table_version="7", rows=[{"symbol": "B"}], snapshot=True),
        heard(4, "stats", table_version="9", rows=[{"symbol": "A"}], snapshot=False),
    ]
    rows = collect(events).stats
    assert rows == {7: [{"symbol": "A"}, {"symbol": "B"}], 9: [{"symbol": "A"}]}


def test_equal_rows_do_not_differ():
    assert stats_differences([TOLD], {"AAPL": STORED}) == []


def test_the_last_digit_and_every_column_count():
    for name, value in STORED.items():
        if name != "symbol":
            changed = STORED | {name: None if value else 0.1}
            found = stats_differences([TOLD], {"AAPL": changed})
            assert [name in sentence for sentence in found] == [True], name
    nearly = STORED | {"price_variance": 0.3}
    assert len(stats_differences([TOLD], {"AAPL": nearly})) == 1


def test_a_symbol_that_the_table_does_not_have_differs():
    assert stats_differences([TOLD], {})


def test_a_sample_has_the_first_and_the_last_and_no_more_than_asked():
    assert sample([3, 4], 60) == [3, 4]
    chosen = sample(range(1000), 60)
    assert (len(set(chosen)), chosen[0], chosen[-1]) == (60, 0, 999)
