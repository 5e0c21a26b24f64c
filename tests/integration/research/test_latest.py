"""Latest values: either store keeps the newest row, whatever comes again or late."""

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from conf.errors import FixSetup, RetryLater
from conf.lake.create import ensure_tables
from conf.lake.latest import LatestStore, latest_of, open_latest
from conf.lake.tables import SYMBOL_STATS
from conf.settings import LatestSettings
from gold.latest import LatestStats
from tests.integration.research.lakes import OPEN, SECOND, arrow, row, write

MINUTE = timedelta(minutes=1)
STATS = SYMBOL_STATS.name


@pytest.fixture
def aws() -> Iterator[None]:
    """An AWS in this process, with the table that the how-to creates."""
    with mock_aws():
        boto3.client("dynamodb", region_name="us-east-1").create_table(
            TableName="tickhouse-latest",
            AttributeDefinitions=[
                {"AttributeName": "symbol", "AttributeType": "S"},
                {"AttributeName": "table_name", "AttributeType": "S"},
            ],
            KeySchema=[
                {"AttributeName": "symbol", "KeyType": "HASH"},
                {"AttributeName": "table_name", "KeyType": "RANGE"},
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        yield


@pytest.fixture(params=["embedded", "dynamodb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LatestStore]:
    if request.param == "dynamodb":
        request.getfixturevalue("aws")
    opened = open_latest(str(tmp_path), LatestSettings(store=request.param))
    assert opened is not None
    yield opened
    opened.close()


def minute(number: int, price: float = 1.0, changed: int = 0, **fields: Any) -> dict:
    start = OPEN + number * MINUTE
    return row(
        SYMBOL_STATS,
        start,
        price_mean=price,
        updated_time=start + MINUTE + changed * SECOND,
        **fields,
    )


class TestStores:
    def put(self, store: LatestStore, *stats: dict) -> None:
        store.put(
            [latest_of(STATS, s, s["window_start"], s["updated_time"]) for s in stats]
        )

    def price(self, store: LatestStore, symbol: str = "AAPL") -> float | None:
        found = store.get(STATS, symbol)
        return None if found is None else found["price_mean"]

    def test_the_newest_window_wins_then_the_newest_change(self, store: LatestStore):
        assert self.price(store) is None
        self.put(store, minute(1, 1.0))
        self.put(store, minute(2, 2.0))
        self.put(store, minute(1, 3.0, changed=999))
        assert self.price(store) == 2.0
        self.put(store, minute(2, 4.0, changed=5), minute(2, 5.0, changed=4))
        assert self.price(store) == 4.0
        self.put(store, minute(2, 4.0, changed=5))
        assert self.price(store) == 4.0

    def test_symbols_and_tables_are_apart(self, store: LatestStore):
        self.put(store, minute(1, 1.0), minute(1, 2.0, symbol="MSFT"))
        assert (self.price(store), self.price(store, "MSFT")) == (1.0, 2.0)
        assert store.get("gold.signals", "AAPL") is None

    def test_times_and_decimals_are_text(self, store: LatestStore):
        self.put(store, minute(0))
        found = store.get(STATS, "AAPL")
        assert found is not None
        assert found["window_start"] == "2026-11-23T14:30:00Z"
        assert found["price_sum_e6"] == "1"


def test_a_table_that_is_missing_is_named(aws: None, tmp_path: Path):
    chosen = LatestSettings(store="dynamodb", dynamodb_table="nothing")
    store = open_latest(str(tmp_path), chosen)
    assert store is not None
    with pytest.raises(FixSetup, match=r"latest\.dynamodb_table"):
        store.get(STATS, "AAPL")


def test_none_is_none(tmp_path: Path):
    assert open_latest(str(tmp_path), LatestSettings(store="none")) is None


class TestGold:
    def test_a_new_store_is_filled_from_the_table(self, tmp_path: Path):
        day = timedelta(days=1)
        ancient = row(SYMBOL_STATS, OPEN - 9 * day, symbol="OLD")
        yesterday = row(SYMBOL_STATS, OPEN - day, symbol="MSFT", price_mean=7.0)
        for one in (ancient, yesterday, minute(1), minute(2, 5.0)):
            write(tmp_path, SYMBOL_STATS, one)
        store = open_latest(str(tmp_path), LatestSettings())
        assert store is not None

        assert LatestStats(store, str(tmp_path)).flush() == 2
        prices = {s: store.get(STATS, s) for s in ("AAPL", "MSFT", "OLD")}
        assert {s: p and p["price_mean"] for s, p in prices.items()} == {
            "AAPL": 5.0,
            "MSFT": 7.0,
            "OLD": None,
        }
        store.close()

    def test_what_cannot_be_written_waits_and_only_the_newest_of_it(
        self, tmp_path: Path
    ):
        ensure_tables(str(tmp_path), [SYMBOL_STATS])
        store = open_latest(str(tmp_path), LatestSettings())
        assert store is not None
        latest = LatestStats(store, str(tmp_path))
        blocked = tmp_path / "_latest.sqlite"
        blocked.mkdir()
        latest.offer(arrow(SYMBOL_STATS, minute(1), minute(2, 2.0)))
        assert latest.flush() == 0
        latest.offer(arrow(SYMBOL_STATS, minute(3, 3.0)))
        assert latest.flush() == 0

        os.rmdir(blocked)
        assert latest.flush() == 1
        found = store.get(STATS, "AAPL")
        assert found is not None
        assert found["price_mean"] == 3.0
        assert latest.flush() == 0
        store.close()

    def test_a_store_that_is_away_says_so(self, tmp_path: Path):
        (tmp_path / "_latest.sqlite").mkdir()
        store = open_latest(str(tmp_path), LatestSettings())
        assert store is not None
        with pytest.raises(RetryLater, match=r"_latest\.sqlite"):
            store.get(STATS, "AAPL")
