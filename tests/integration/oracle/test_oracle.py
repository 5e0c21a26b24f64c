"""The oracle is proved by mutation: spoil a correct lake, and exactly that is found."""

from datetime import timedelta
from pathlib import Path
from typing import Protocol

import pytest

from infra.local import stream_contents
from infra.local.oracle import Report, judge, open_database
from tests.integration.oracle.example_market import (
    ARRIVED,
    FIRST,
    MESSAGES,
    MINUTE,
    MINUTE_NS,
    RECEIVE_NS,
    RECEIVED,
    Lake,
    append_rows,
    correct_lake,
    reject_row,
    text_of,
    trade,
    write_kinesis,
    write_table,
    write_truth,
)

UNSPOILT = correct_lake()


class Judged(Protocol):
    """Judges the example's lake after it was spoilt."""

    def __call__(self, lake: Lake, *, only_stored: bool = False) -> Report: ...


@pytest.fixture(scope="module")
def unspoilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("unspoilt")
    for table, rows in UNSPOILT.items():
        write_table(root, table, rows)
    return root


@pytest.fixture
def judged(tmp_path: Path, unspoilt: Path) -> Judged:
    write_truth(tmp_path)
    kinesis = write_kinesis(tmp_path)
    root = tmp_path / "lake"

    def verdict(lake: Lake, *, only_stored: bool = False) -> Report:
        for table, rows in lake.items():
            place = table.replace(".", "/")
            if rows != UNSPOILT[table]:
                write_table(root, table, rows)
            elif not (root / place).exists():
                (root / place).parent.mkdir(parents=True, exist_ok=True)
                (root / place).symlink_to(unspoilt / place)
        with open_database(tmp_path) as db:
            return judge(
                db,
                root,
                truth_dir=tmp_path,
                kinesis=kinesis,
                only_stored=only_stored,
            )

    return verdict


def faults(report: Report) -> dict[str, tuple[int, int, int]]:
    return {
        table.table: found
        for table in report.tables
        if (found := (table.lost, table.duplicated, table.altered)) != (0, 0, 0)
    }


@pytest.mark.parametrize("only_stored", [False, True])
def test_a_correct_lake_has_no_fault(judged: Judged, only_stored: bool):
    report = judged(correct_lake(), only_stored=only_stored)
    assert faults(report) == {}
    assert [(t.expected, t.stored) for t in report.tables] == [
        (5, 5), (5, 5), (4, 4), (3, 3), (5, 5), (2, 2), (2, 2), (2, 2), (3, 3),
        (8, 8),
    ]  # fmt: skip
    assert report.rejected == 3


def test_late_events_in_the_lake_are_counted(judged: Judged):
    assert judged(correct_lake()).late_restated == 1


def test_a_file_of_nothing_but_history_is_not_judged(judged: Judged, tmp_path: Path):
    lake = correct_lake()
    write_table(tmp_path / "lake", "silver.trades", lake["silver.trades"])
    older = [row | {"kind": "history", "price": 1.0} for row in lake["silver.trades"]]
    append_rows(tmp_path / "lake", "silver.trades", older)
    assert faults(judged(lake)) == {}


@pytest.mark.parametrize("table", list(UNSPOILT))
@pytest.mark.parametrize("row", [0, 1])
def test_a_missing_row_is_lost(judged: Judged, table: str, row: int):
    lake = correct_lake()
    del lake[table][row]
    assert faults(judged(lake)) == {table: (1, 0, 0)}


@pytest.mark.parametrize("table", list(UNSPOILT))
@pytest.mark.parametrize("row", [0, 1])
def test_a_second_row_is_a_duplicate(judged: Judged, table: str, row: int):
    lake = correct_lake()
    if table == "silver.rejects":
        # one row per stored copy is right, a third is not
        lake[table] += [lake[table][row]] * 2
    else:
        lake[table].append(lake[table][row])
    assert faults(judged(lake)) == {table: (0, 1, 0)}


ALTERED = [
    ("bronze.records", "data", b"other"),
    ("bronze.records", "partition_key", "MSFT"),
    ("bronze.records", "sequence_number", "7"),
    ("bronze.records", "arrival_time", ARRIVED + timedelta(milliseconds=1)),
    ("bronze.records", "day", MINUTE.date() + timedelta(days=1)),
    ("silver.trades", "event_time", MINUTE + timedelta(seconds=1, microseconds=1)),
    ("silver.trades", "event_time_ns", MINUTE_NS + 1_000_000_002),
    ("silver.trades", "exchange", "Q"),
    ("silver.trades", "trade_id", 77),
    ("silver.trades", "price", 190.00000000000003),
    ("silver.trades", "size", 101),
    ("silver.trades", "conditions", []),
    ("silver.trades", "conditions", None),
    ("silver.trades", "tape", None),
    ("silver.trades", "day", MINUTE.date() + timedelta(days=1)),
    ("silver.quotes", "event_time_ns", MINUTE_NS + 4),
    ("silver.quotes", "bid_price", 190.01),
    ("silver.quotes", "bid_size", 5),
    ("silver.quotes", "ask_exchange", None),
    ("silver.quotes", "conditions", ["R", "R"]),
    ("silver.bars", "volume", 158),
    ("silver.bars", "vwap", None),
    ("silver.bars", "window_end", MINUTE),
    ("silver.bars", "bar_length_s", 300),
    ("silver.bars", "revision", 7),
    ("silver.corrections", "match_state", "ambiguous"),
    ("silver.corrections", "action", "cancel"),
    ("silver.corrections", "trade_id", 2),
    ("silver.corrections", "price", 190.1),
    ("silver.corrections", "size", 90),
    ("silver.corrections", "conditions", None),
    ("silver.corrections", "corrected_trade_id", None),
    ("silver.corrections", "corrected_price", 190.0),
    ("silver.corrections", "corrected_size", 100),
    ("silver.corrections", "corrected_conditions", ["@"]),
    ("silver.corrections", "trade_event_time_ns", MINUTE_NS + 1_000_000_001),
    ("silver.statuses", "channel", "luld"),
    ("silver.statuses", "status_code", "T"),
    ("silver.statuses", "reason_message", None),
    ("silver.statuses", "limit_up_price", 199.5),
    ("silver.gaps", "state", "late"),
    ("silver.gaps", "cause", "mute"),
    ("silver.gaps", "start_time", MINUTE),
    ("silver.gaps", "end_time", MINUTE),
    ("silver.gaps", "backfilled_rows", 1),
    ("silver.gaps", "position", 2),
    ("silver.orders", "status", "filled"),
    ("silver.orders", "quantity", None),
    ("silver.orders", "event_time_ns", MINUTE_NS),
    ("silver.orders", "epoch", "E1"),
    ("silver.rejects", "reason", ""),
    ("gold.symbol_stats", "trade_count", 4),
    ("gold.symbol_stats", "volume", 158),
    ("gold.symbol_stats", "price_min", 189.0),
    ("gold.symbol_stats", "price_max", 190.51),
    ("gold.symbol_stats", "price_mean", 190.2500003),
    ("gold.symbol_stats", "price_variance", 0.0625001),
    ("gold.symbol_stats", "price_variance", None),
    ("gold.symbol_stats", "price_stddev", 0.2500001),
    ("gold.symbol_stats", "price_sum_e6", 570_750_001),
    ("gold.symbol_stats", "price_sum_squares_e12", 1),
    ("gold.symbol_stats", "window_end", MINUTE),
    ("gold.symbol_stats", "hour", 16),
    ("gold.symbol_stats", "price_buckets", []),
    (
        "gold.symbol_stats",
        "price_buckets",
        [
            {"low_e6": 190_000_000, "high_e6": 190_250_000, "trade_count": 2},
            {"low_e6": 190_250_000, "high_e6": 190_500_001, "trade_count": 1},
        ],
    ),
]


@pytest.mark.parametrize(("table", "column", "value"), ALTERED)
def test_another_value_is_altered_and_not_lost(
    judged: Judged, table: str, column: str, value: object
):
    lake = correct_lake()
    lake[table][0] |= {column: value}
    report = judged(lake)
    assert {name: f[2] > 0 for name, f in faults(report).items()} == {table: True}
    assert faults(report)[table][:2] == (0, 0)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("position", 2),
        ("position", 40),
        ("sequence_number", "7"),
        ("shard_id", "shardId-000000000001"),
        ("epoch", "E2"),
        ("kind", "backfill"),
        ("receive_time", RECEIVED + timedelta(microseconds=1)),
        ("market_time", RECEIVED - timedelta(microseconds=1)),
        ("arrival_time", ARRIVED + timedelta(milliseconds=1)),
    ],
)
def test_wrong_lineage_is_altered(judged: Judged, column: str, value: object):
    lake = correct_lake()
    lake["silver.trades"][2] |= {column: value}
    assert faults(judged(lake)) == {"silver.trades": (0, 0, 1)}


@pytest.mark.parametrize(
    "table", ["silver.quotes", "silver.bars", "silver.corrections", "silver.statuses"]
)
def test_every_table_has_its_lineage_checked(judged: Judged, table: str):
    lake = correct_lake()
    lake[table][0]["position"] = 1
    assert faults(judged(lake)) == {table: (0, 0, 1)}


def test_the_same_quote_under_another_number_is_a_duplicate(
    judged: Judged,
):
    lake = correct_lake()
    lake["silver.quotes"].append(lake["silver.quotes"][0] | {"occurrence": 2})
    assert faults(judged(lake)) == {"silver.quotes": (0, 1, 0)}


def test_a_row_under_another_symbol_is_altered_and_its_event_lost(
    judged: Judged,
):
    lake = correct_lake()
    lake["silver.trades"][0]["symbol"] = "MSFT"
    # altered twice: it is no event, and its lineage names a line of AAPL
    assert faults(judged(lake)) == {"silver.trades": (1, 0, 2)}


def test_a_good_message_that_was_rejected_is_lost_in_its_table(
    judged: Judged,
):
    lake = correct_lake()
    del lake["silver.trades"][4]
    lake["silver.rejects"].append(reject_row(4, FIRST))
    assert faults(judged(lake)) == {
        "silver.trades": (1, 0, 0),
        "silver.rejects": (0, 0, 1),
    }


def test_examples_show_what_was_expected_and_what_is_stored(
    judged: Judged,
):
    lake = correct_lake()
    lake["silver.trades"][0]["price"] = 191.0
    (example,) = judged(lake).tables[1].examples["altered"]
    assert example["expected"]["price"] == 190.0
    assert example["stranger"]["price"] == 191.0


def test_the_lake_owes_only_what_kinesis_stored(judged: Judged, tmp_path: Path):
    lost_before_kinesis = text_of(trade(6, 70 * 10**9, 191.0, 1))
    with (tmp_path / "messages-00001.tsv").open("a") as file:
        file.write(f"{RECEIVE_NS}\tn\t{lost_before_kinesis}\n")
    assert faults(judged(correct_lake(), only_stored=True)) == {}
    assert faults(judged(correct_lake()))["silver.trades"] == (1, 0, 0)


def test_resent_messages_are_counted_from_the_ledger(tmp_path: Path):
    assert stream_contents.resent_messages(write_kinesis(tmp_path)) == len(MESSAGES)
