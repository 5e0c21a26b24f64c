"""A running emulator, and its users: boto3 clients whose answers are checked.

The oracle for shapes is botocore's own model of Kinesis: every answer to a client of
these tests, errors included, is checked against it.
"""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, TypeVar

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.model import OperationModel
from botocore.validate import ParamValidator
from types_boto3_kinesis import KinesisClient
from types_boto3_kinesis.type_defs import PutRecordsOutputTypeDef, RecordTypeDef

T = TypeVar("T")

DATABASE = "kinesis.sqlite"
STREAM = "ticks"
FIRST_SHARD = "shardId-000000000000"
UNMODELLED_ERRORS = {
    "InternalFailure",
    "SerializationException",
    "ServiceUnavailable",
    "ThrottlingException",
    "UnknownOperationException",
    "ValidationException",
}


def wait_for(condition: Callable[[], T | None], timeout_s: float = 10) -> T:
    """Return the condition's first true value."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.01)
    pytest.fail(f"still not true after {timeout_s} s")


class EmulatorProcess:
    """A running emulator on a free port."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self._log_path = folder / "log.jsonl"
        with self._log_path.open("w") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "infra.local.kinesis"),
                    *("--port", "0", "--data", str(folder), *options),
                ],
                stderr=log,
            )
        self.port: int = wait_for(self._port)

    def _port(self) -> int | None:
        for line in self._log_path.read_text().splitlines():
            if json.loads(line)["event"] == "listening":
                return int(json.loads(line)["port"])
        assert self.process.poll() is None, self._log_path.read_text()
        return None

    def client(self, *, validates: bool = True) -> KinesisClient:
        """Return a client that tries once; one that does not validate sends all."""
        client = boto3.client(
            "kinesis",
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name="us-east-1",
            aws_access_key_id="any",
            aws_secret_access_key="any",
            config=Config(
                retries={"total_max_attempts": 1},
                read_timeout=10,
                parameter_validation=validates,
            ),
        )
        client.meta.events.register("after-call.kinesis", check_against_model)
        return client

    def control(self, method: str, path: str, body: object = None) -> Any:
        """Ask what no real Kinesis answers, and return the answer."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=5)) as connection:
            connection.request(method, path, None if body is None else json.dumps(body))
            response = connection.getresponse()
            answer = json.loads(response.read())
            assert response.status < 300, answer
            return answer

    def health(self) -> dict[str, int]:
        answer: dict[str, int] = self.control("GET", "/health")
        return answer

    def inject(self, action: str, **parameters: object) -> int:
        """Start a fault and return its id."""
        body = {"actionId": action, "parameters": parameters}
        return int(self.control("POST", "/faults", body)["id"])

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self, signal_number: int = signal.SIGTERM) -> int:
        self.process.send_signal(signal_number)
        return self.process.wait(timeout=10)


def check_against_model(
    http_response: AWSResponse,
    parsed: dict[str, Any],
    model: OperationModel,
    **_: object,
) -> None:
    if http_response.status_code >= 400:
        modelled = {shape.name for shape in model.error_shapes}
        assert parsed["Error"]["Code"] in modelled | UNMODELLED_ERRORS
        assert parsed["Error"]["Message"]
    elif model.output_shape is None:
        assert http_response.content == b""
    else:
        answer = json.loads(http_response.content)
        report = ParamValidator().validate(answer, model.output_shape)
        # AWS itself stays below its model's minima: 0 failed records, no metrics
        complaints = [
            line
            for line in report.generate_report().splitlines()
            if "valid min" not in line
        ]
        assert complaints == []


def put(
    client: KinesisClient, payloads: list[bytes], key: str = "AAPL"
) -> PutRecordsOutputTypeDef:
    entries = [{"Data": payload, "PartitionKey": key} for payload in payloads]
    return client.put_records(StreamName=STREAM, Records=entries)


def read_from(
    client: KinesisClient,
    shard_id: str = FIRST_SHARD,
    place: dict[str, Any] | None = None,
) -> list[RecordTypeDef]:
    """Read a shard from a place, or from its beginning, to its tip."""
    start = place or {"ShardIteratorType": "TRIM_HORIZON"}
    iterator = client.get_shard_iterator(StreamName=STREAM, ShardId=shard_id, **start)
    token = iterator["ShardIterator"]
    records: list[RecordTypeDef] = []
    while True:
        answer = client.get_records(ShardIterator=token)
        records += answer["Records"]
        if answer["MillisBehindLatest"] == 0:
            return records
        token = answer["NextShardIterator"]


def data_of(records: list[RecordTypeDef]) -> list[bytes]:
    return [record["Data"] for record in records]


def code_of(call: Callable[[], object]) -> str | None:
    """Return the error that a call is answered, None if it succeeds."""
    try:
        call()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return None


def error_code(call: Callable[[], object]) -> str:
    with pytest.raises(ClientError) as refused:
        call()
    return str(refused.value.response["Error"]["Code"])
