"""A stock boto3 client on an emulator in this process, with a clock the test moves."""

import asyncio
from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError
from types_boto3_kinesis import KinesisClient

from infra.local.kinesis.api import Api
from infra.local.kinesis.emulator import Emulator
from infra.local.kinesis.faults import FaultRequest, Parameters
from infra.local.kinesis.http_protocol import Head, Request
from infra.local.kinesis.limits import UNLIMITED
from infra.local.kinesis.retention import trim_once
from infra.local.kinesis.store import Store

STREAM = "ticks"
NOON_S = 1_795_446_000.0
HOUR_S = 3600.0
HALF = str(2**127)


class _Body(BytesIO):
    """What botocore reads of a response."""

    def stream(self) -> Iterator[bytes]:
        yield self.read()


class Kinesis:
    """One stream of one shard, a client of it, and the wall clock of both."""

    def __init__(self, store: Store) -> None:
        self.clock_s = NOON_S
        self._emulator = Emulator(
            store, limits=UNLIMITED, now_ms=lambda: round(self.clock_s * 1000)
        )
        self._api = Api(self._emulator)
        self._loop = asyncio.new_event_loop()
        self._commits = self._loop.create_task(self._emulator.commits.run())
        self.calls: list[str] = []
        self.client = self._open_client()
        self.client.create_stream(StreamName=STREAM, ShardCount=1)

    def _open_client(self) -> KinesisClient:
        client = boto3.client(
            "kinesis",
            region_name="us-east-1",
            aws_access_key_id="any",
            aws_secret_access_key="any",
            config=Config(retries={"total_max_attempts": 1}),
        )
        client.meta.events.register("before-send.kinesis", self._answer)
        return client

    def _answer(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        headers = {
            name.lower(): value.decode() if isinstance(value, bytes) else str(value)
            for name, value in request.headers.items()
        }
        self.calls.append(headers["x-amz-target"].partition(".")[2])
        head = Head("POST", "/", "HTTP/1.1", headers, 0)
        body = request.body if isinstance(request.body, bytes) else b""
        answer = self._loop.run_until_complete(self._api.answer(Request(head, body)))
        if answer is None:
            raise ConnectionClosedError(endpoint_url=str(request.url))
        raw: Any = _Body(answer.body)
        return AWSResponse(str(request.url), answer.status, answer.headers, raw)

    def now_s(self) -> float:
        return self.clock_s

    def put(self, *numbers: int, size: int = 8) -> None:
        """Put one record per number; their keys spread over all shards."""
        self.client.put_records(
            StreamName=STREAM,
            Records=[
                {"PartitionKey": f"key {number}", "Data": b"%0*d" % (size, number)}
                for number in numbers
            ],
        )

    def split(self, shard: str, at: str = HALF) -> None:
        self.client.split_shard(
            StreamName=STREAM, ShardToSplit=shard, NewStartingHashKey=at
        )

    def trim(self) -> None:
        """Let retention delete what it no longer keeps."""
        self._loop.run_until_complete(trim_once(self._emulator))

    def inject(self, action: Any, count: int | None = None, **parameters: Any) -> None:
        """Start a fault."""
        chosen = Parameters(count=count, **parameters)
        self._emulator.faults.start(FaultRequest(action_id=action, parameters=chosen))

    def close(self) -> None:
        self._commits.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()


@contextmanager
def open_kinesis(folder: Path) -> Iterator[Kinesis]:
    with closing(Store(folder)) as store, closing(Kinesis(store)) as kinesis:
        yield kinesis
