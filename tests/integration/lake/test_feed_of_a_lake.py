"""What fed a lake's minutes is told by the headers of bronze, or not known."""

import pytest

from conf.lake.manifest import tie
from conf.lake.tables import BARS, RECORDS
from conf.market.envelope import encode_header, pack
from models.feed import feed_of, is_real
from models.lake_rows import LakeRows
from tests.integration.lake.decided import MINUTE, START
from tests.integration.lake.scripted import Lake
from tests.integration.lake.test_minutes import bar_row


class Fed(Lake):
    """Bars of connections, and bronze with the records that they came in."""

    def bar(self, number: int, **changes) -> dict:
        row = bar_row("SPY", START + number * MINUTE, 100.0, "data")
        return row | {"sequence_number": str(number), **changes}

    def record(self, bar: dict, source: str) -> None:
        header = encode_header("data", bar["epoch"], source)
        row = {name: bar[name] for name in ("arrival_time", "shard_id", "ingest_time")}
        row |= {"sequence_number": bar["sequence_number"], "partition_key": "SPY"}
        row |= {"data": pack(header, []), "day": bar["arrival_time"].date()}
        self.append(RECORDS, [row])

    def feed(self) -> str:
        root = self.settings.root
        return feed_of(LakeRows(root, tie(root)), "SPY")


@pytest.fixture
def lake(tmp_path):
    lake = Fed(tmp_path)
    yield lake
    lake.fence.release()


def test_a_feed_is_what_the_header_of_each_connection_says(lake):
    assert lake.feed() == "unknown"
    bars = [lake.bar(number) for number in range(3)]
    lake.append(BARS, bars)
    lake.record(bars[0], "alpaca/iex")
    # Records of other bars are not asked for: the last of the connection tells.
    assert lake.feed() == "unknown"
    lake.record(bars[2], "alpaca/iex")
    assert lake.feed() == "alpaca/iex"
    assert is_real(lake.feed())

    later = lake.bar(5, epoch="e2")
    lake.append(BARS, [later])
    assert lake.feed() == "alpaca/iex, unknown"
    assert not is_real(lake.feed())
    lake.record(later, "simulator/iex")
    assert lake.feed() == "alpaca/iex, simulator/iex"
    assert not is_real(lake.feed())


def test_bars_that_we_built_and_torn_headers_tell_nothing(lake):
    built = lake.bar(0, source="trades", epoch=None, arrival_time=None)
    lake.append(BARS, [built | {"shard_id": None, "sequence_number": None}])
    assert lake.feed() == "unknown"
    spoilt = lake.bar(1)
    lake.append(BARS, [spoilt])
    lake.record(spoilt, None)
    assert lake.feed() == "unknown"


@pytest.mark.parametrize(
    ("feed", "real"),
    [
        ("alpaca/iex", True),
        ("alpaca/iex, alpaca/sip", True),
        ("alpaca/test", False),
        ("simulator/iex", False),
        ("unknown", False),
        ("", False),
    ],
)
def test_only_a_real_markets_feed_is_real(feed, real):
    assert is_real(feed) is real
