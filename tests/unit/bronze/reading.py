"""Reading the source as Spark does, batch by batch."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

from bronze.kinesis_source import KinesisReader, Offset

FIRST, SECOND, THIRD = (f"shardId-{index:012d}" for index in range(3))

Open = Callable[..., KinesisReader]


def read_until_quiet(
    reader: KinesisReader, start: Offset
) -> tuple[list[tuple[int, str]], Offset]:
    """Plan batches as Spark does; return (number, shard) of each row, and the end."""
    found = []
    while True:
        rows, end = reader.read(start)
        found += [(int(row[0]), row[4]) for row in rows]
        if end == start:
            return found, end
        # the offset log holds text
        start = json.loads(json.dumps(end))


def numbers(found: list[tuple[int, str]]) -> list[int]:
    return [number for number, _ in found]


def instant(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
