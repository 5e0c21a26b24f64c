"""Kinesis to bronze: each record once, from a real emulator."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession
from types_boto3_kinesis import KinesisClient

import bronze.job
from conf.lake.fence import open_fence
from conf.lake.read import scan
from conf.lake.tables import RECORDS
from conf.settings import KinesisSettings, LakeSettings, Settings
from tests.integration.kinesis_emulator.running import STREAM, EmulatorProcess, wait_for

pytestmark = pytest.mark.spark


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[EmulatorProcess]:
    """A Kinesis of its own, with AWS's limits and one stream of two shards."""
    running = EmulatorProcess(tmp_path / "kinesis")
    running.client().create_stream(StreamName=STREAM, ShardCount=2)
    yield running
    running.kill()


@pytest.fixture
def chosen(emulator: EmulatorProcess, tmp_path: Path) -> Iterator[Settings]:
    """Settings of a lake that reads that stream."""
    lake = LakeSettings(
        root=str(tmp_path / "lake"),
        checkpoints=str(tmp_path / "checkpoints"),
        trigger_ms=100,
    )
    kinesis = KinesisSettings(
        stream_name=STREAM, endpoint_url=f"http://127.0.0.1:{emulator.port}"
    )
    yield Settings(lake=lake, kinesis=kinesis)
    open_fence(lake.root, "bronze", lake.lease_s).release()


class Stream:
    """The emulator's stream and all that was put on it."""

    def __init__(self, client: KinesisClient) -> None:
        self._client = client
        self.stored = set[tuple[str, str, str, bytes]]()

    def put(self, *numbers: int) -> None:
        """Put one record per number; the keys spread over both shards."""
        sent = [(f"key {number}", b"record %d \xff" % number) for number in numbers]
        answer = self._client.put_records(
            StreamName=STREAM,
            Records=[{"PartitionKey": key, "Data": data} for key, data in sent],
        )
        self.stored |= {
            (done["ShardId"], done["SequenceNumber"], key, data)
            for done, (key, data) in zip(answer["Records"], sent, strict=True)
        }


def run_bronze(spark: SparkSession, chosen: Settings, between=lambda: None) -> None:
    query = bronze.job.start(spark, chosen)
    query.processAllAvailable()
    between()
    query.processAllAvailable()
    query.stop()


def landed(chosen: Settings) -> list[tuple[str, str, str, bytes]]:
    columns = ["shard_id", "sequence_number", "partition_key", "data"]
    rows = scan(chosen.lake.root, RECORDS, columns=columns).to_pylist()
    return sorted(tuple(row.values()) for row in rows)


def test_each_record_lands_once_whatever_is_restarted_or_deleted(
    spark: SparkSession, emulator: EmulatorProcess, chosen: Settings
):
    stream = Stream(emulator.client())
    stream.put(*range(8))
    run_bronze(spark, chosen, between=lambda: stream.put(8, 9))
    assert len({shard_id for shard_id, *_ in stream.stored}) == 2
    assert landed(chosen) == sorted(stream.stored)

    stream.put(10, 11)
    run_bronze(spark, chosen)
    assert landed(chosen) == sorted(stream.stored)

    shutil.rmtree(Path(chosen.lake.checkpoints) / "bronze")
    stream.put(12, 13)
    run_bronze(spark, chosen)
    assert landed(chosen) == sorted(stream.stored)


def test_a_starting_point_that_means_nothing_ends_the_query_with_its_name(
    spark: SparkSession, chosen: Settings
):
    kinesis = chosen.kinesis.model_copy(
        update={"initial_position": "AT_TIMESTAMP next tuesday"}
    )
    query = bronze.job.start(spark, chosen.model_copy(update={"kinesis": kinesis}))

    with pytest.raises(
        StreamingQueryException, match="initialPosition: 'AT_TIMESTAMP next tuesday' is"
    ):
        query.processAllAvailable()


def test_a_run_by_hand_ends_though_more_keeps_coming(
    spark: SparkSession, emulator: EmulatorProcess, chosen: Settings
):
    stream = Stream(emulator.client())
    stream.put(*range(8))
    before = sorted(stream.stored)
    ending = datetime.now(UTC)
    wait_for(lambda: datetime.now(UTC) > ending + timedelta(milliseconds=5))
    stream.put(8, 9)

    query = bronze.job.start(spark, chosen, ending)
    query.processAllAvailable()
    query.stop()

    assert landed(chosen) == before
    run_bronze(spark, chosen)
    assert landed(chosen) == sorted(stream.stored)


def test_a_stream_resharded_while_the_driver_was_away_is_read_once(
    spark: SparkSession, emulator: EmulatorProcess, chosen: Settings
):
    client = emulator.client()
    stream = Stream(client)
    stream.put(*range(8))
    run_bronze(spark, chosen)
    for target in (4, 2, 3):
        client.update_shard_count(
            StreamName=STREAM, TargetShardCount=target, ScalingType="UNIFORM_SCALING"
        )
        stream.put(*range(8))
    lags = dict[str, float]()

    query = bronze.job.start(spark, chosen)
    query.processAllAvailable()
    stream.put(*range(8))
    query.processAllAvailable()
    for progress in query.recentProgress:
        lags = bronze.job.shard_lags_s(progress)
    query.stop()

    assert landed(chosen) == sorted(stream.stored)
    shards = client.list_shards(StreamName=STREAM)["Shards"]
    open_shards = {
        shard["ShardId"]
        for shard in shards
        if "EndingSequenceNumber" not in shard["SequenceNumberRange"]
    }
    assert lags.keys() == open_shards
    assert all(0 <= lag < 60 for lag in lags.values())
