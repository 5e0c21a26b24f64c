"""A stream whose shards split and merge is followed by itself.

The emulator does not split shards, so the stream is one in memory.
"""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from api import tail as tail_module
from api.tail import Tail
from conf.market.envelope import Line, encode_header, encode_line, pack
from conf.settings import Settings
from tests.unit.api.live import MINUTE_NS, trade

HEADER = encode_header("data", "E1", "simulator/iex")
NOW_S = MINUTE_NS / 10**9 + 30


class StreamInMemory:
    """Shards and their records, with the three read calls of a boto3 client."""

    class exceptions:  # noqa: N801 (boto3's spelling)
        class ExpiredIteratorException(Exception):
            """As boto3's."""

    def __init__(self) -> None:
        self.records: dict[str, list[dict[str, Any]]] = {"s0": []}
        self.closed: set[str] = set()

    def put(self, shard: str, at_s: float) -> None:
        tick = trade(at_s)
        message = msgspec.Raw(msgspec.json.encode(tick.message))
        line = Line(0, 0, tick.event_time_ns, tick.event_time_ns, message=message)
        found = self.records[shard]
        found.append(
            {
                "Data": pack(HEADER, [encode_line(line)]),
                "SequenceNumber": str(len(found)),
                "ApproximateArrivalTimestamp": datetime.fromtimestamp(NOW_S, UTC),
            }
        )

    def close(self, *parents: str, children: Iterator[str] | list[str]) -> None:
        self.closed |= set(parents)
        self.records |= {child: [] for child in children}

    def list_shards(self, **_: Any) -> dict[str, Any]:
        return {"Shards": [{"ShardId": shard} for shard in self.records]}

    def get_shard_iterator(self, **wanted: Any) -> dict[str, str]:
        after = wanted.get("StartingSequenceNumber", "-1")
        return {"ShardIterator": f"{wanted['ShardId']} {int(after) + 1}"}

    def get_records(self, **wanted: Any) -> dict[str, Any]:
        shard, start = wanted["ShardIterator"].split(" ")
        found = self.records[shard][int(start) :]
        following = f"{shard} {int(start) + len(found)}"
        return {
            "Records": found,
            "NextShardIterator": None if shard in self.closed else following,
            "MillisBehindLatest": 0,
        }


async def counted(tail: Tail, trades: int) -> None:
    async with asyncio.timeout(20):
        while sum(c.trade_count or 0 for c in tail.state.candles()) != trades:
            await asyncio.sleep(0.001)


async def test_children_are_followed_from_their_first_record(
    monkeypatch: pytest.MonkeyPatch,
):
    #  s0 ──┬── s1 ──┬── s3
    #       └── s2 ──┘
    monkeypatch.setattr(tail_module, "POLL_S", 0.002)
    stream = StreamInMemory()
    tail = Tail(Settings(), lambda: NOW_S, stream)  # type: ignore[arg-type]
    task = asyncio.create_task(tail.run())
    stream.put("s0", 1)
    await counted(tail, 1)
    stream.put("s0", 2)
    stream.close("s0", children=["s1", "s2"])
    stream.put("s1", 3)
    stream.put("s2", 4)
    await counted(tail, 4)
    stream.put("s2", 5)
    stream.close("s1", "s2", children=["s3"])
    stream.put("s3", 6)
    await counted(tail, 6)
    assert tail.status.state == "ok"
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
