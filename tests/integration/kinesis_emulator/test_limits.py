"""The limits of a shard, as real clients meet them."""

import time

from types_boto3_kinesis import KinesisClient

from tests.integration.kinesis_emulator.running import (
    FIRST_SHARD,
    STREAM,
    error_code,
    put,
    read_from,
    wait_for,
)


def test_a_shard_takes_a_thousand_records_a_second(limited: KinesisClient):
    began = time.monotonic()
    answers = [put(limited, [b"x"] * 500) for _ in range(4)]
    elapsed_s = time.monotonic() - began

    refused = [r for answer in answers for r in answer["Records"] if "ErrorCode" in r]
    accepted = 2_000 - len(refused)
    assert 1_000 <= accepted <= 1_000 + 1_000 * elapsed_s
    assert len(refused) == sum(answer["FailedRecordCount"] for answer in answers)
    assert {r["ErrorCode"] for r in refused} == {
        "ProvisionedThroughputExceededException"
    }
    assert FIRST_SHARD in refused[0]["ErrorMessage"]
    assert len(read_from(limited)) == accepted


def test_a_shard_takes_one_mib_a_second(limited: KinesisClient):
    began = time.monotonic()
    answer = put(limited, [b"x" * 10_000] * 300)
    elapsed_s = time.monotonic() - began

    accepted = 300 - answer["FailedRecordCount"]
    assert 104 <= accepted <= 105 * (1 + elapsed_s)
    for _ in range(2):
        put(limited, [b"x" * 10_000] * 200)
    code = error_code(
        lambda: limited.put_record(
            StreamName=STREAM, Data=b"x" * (1 << 19), PartitionKey="AAPL"
        )
    )
    assert code == "ProvisionedThroughputExceededException"


def test_a_shard_is_read_five_times_a_second_by_all_readers_together(
    limited: KinesisClient,
):
    iterator = limited.get_shard_iterator(
        StreamName=STREAM, ShardId=FIRST_SHARD, ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]

    def is_refused() -> bool:
        try:
            limited.get_records(ShardIterator=iterator)
        except limited.exceptions.ProvisionedThroughputExceededException:
            return True
        return False

    answers = [is_refused() for _ in range(10)]
    assert answers[:5] == [False] * 5
    assert any(answers)
    wait_for(lambda: not is_refused())
