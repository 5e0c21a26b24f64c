"""An emulated stream and readers of it, for the tests of this folder."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bronze.kinesis_source import KinesisReader
from bronze.shards import ShardReader
from tests.unit.bronze.emulated import STREAM, Kinesis, open_kinesis
from tests.unit.bronze.reading import Open


@pytest.fixture
def kinesis(tmp_path: Path) -> Iterator[Kinesis]:
    """One stream of one shard, without limits, at noon."""
    with open_kinesis(tmp_path) as kinesis:
        yield kinesis


@pytest.fixture
def open_reader(kinesis: Kinesis) -> Open:
    """Open readers of the stream as Spark does, one for each driver."""

    def open_one(**options: Any) -> KinesisReader:
        chosen = {"streamName": STREAM, "minReadIntervalMs": "0", **options}
        reader = KinesisReader({key: str(value) for key, value in chosen.items()})
        fails = reader._fails
        reader._reader = ShardReader(
            kinesis.client, STREAM, fail_on_data_loss=fails, now_s=kinesis.now_s
        )
        return reader

    return open_one
