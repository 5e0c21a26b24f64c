"""Where the data source starts to read."""

from datetime import UTC, datetime

import pytest

from bronze.kinesis_source import KinesisReader
from bronze.shards import ShardReader


class Shards:
    """A Kinesis client of a stream whose shard ``s0`` was split in two."""

    def list_shards(self, **_):
        return {
            "Shards": [
                {"ShardId": "s0"},
                {"ShardId": "s1", "ParentShardId": "s0"},
                {"ShardId": "s2", "ParentShardId": "s0"},
            ]
        }


def reader(**options: str) -> KinesisReader:
    made = KinesisReader(options)
    made._reader = ShardReader(Shards(), "stream")
    return made


def test_only_the_oldest_shards_are_begun():
    assert reader().initialOffset() == {"s0": "TRIM_HORIZON"}


def test_a_time_is_an_instant():
    moment = "2026-11-23T10:00:00-05:00"
    offset = reader(initialPosition=f"AT_TIMESTAMP {moment}").initialOffset()

    instant = datetime(2026, 11, 23, 15, tzinfo=UTC).timestamp()
    assert offset == {"s0": f"AT:{instant:.3f}"}


@pytest.mark.parametrize(
    "position",
    [
        "nonsense",
        "",
        "AT_TIMESTAMP",
        "AT_TIMESTAMP soon",
        "AT_TIMESTAMP 2026-11-23T15:00:00",  # of which time zone?
    ],
)
def test_a_starting_point_that_means_nothing_is_refused_by_name(position: str):
    with pytest.raises(ValueError, match=f"initialPosition: '{position}' is not"):
        reader(initialPosition=position).initialOffset()


def test_shards_go_on_after_the_records_that_bronze_holds():
    start_after = '{"s0":"7","s1":"9","gone":"3"}'

    # s2 begins when s0 is read to its end; from s1 some records are there already.
    assert reader(startAfter=start_after).initialOffset() == {"s0": "7", "s1": "9"}
