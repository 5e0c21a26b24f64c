"""The process: health, start, stop, and bytes that are no requests."""

import base64
import json
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest
from types_boto3_kinesis import KinesisClient

from tests.integration.kinesis_emulator.running import (
    DATABASE,
    STREAM,
    EmulatorProcess,
    data_of,
    put,
    read_from,
)


def test_health_counts_what_is_there(emulator: EmulatorProcess, kinesis: KinesisClient):
    put(kinesis, [b"12345"] * 10)

    assert emulator.health() == {
        "streams": 1,
        "records": 10,
        "bytes": 50,
        "pid": emulator.process.pid,
    }


def test_it_stops_cleanly(start: Callable[..., EmulatorProcess]):
    emulator = start()
    emulator.client().create_stream(StreamName=STREAM, ShardCount=1)

    assert emulator.stop() == 0
    assert not (emulator.folder / f"{DATABASE}-wal").exists()


@pytest.mark.parametrize(
    ("taken", "complaint"),
    [("port", "the port is taken"), ("folder", "another Kinesis emulator uses")],
)
def test_it_says_in_one_line_why_it_cannot_start(
    emulator: EmulatorProcess, tmp_path: Path, taken: str, complaint: str
):
    port = emulator.port if taken == "port" else 0
    folder = emulator.folder if taken == "folder" else tmp_path / "other"

    second = subprocess.run(
        [
            *(sys.executable, "-m", "infra.local.kinesis"),
            *("--port", str(port), "--data", str(folder)),
        ],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert second.returncode == 3
    assert complaint in second.stderr
    assert len(second.stderr.splitlines()) == 1


def exchange(emulator: EmulatorProcess, sent: bytes) -> bytes:
    """Send bytes, and return what comes back until the emulator closes."""
    with socket.create_connection(("127.0.0.1", emulator.port), timeout=5) as client:
        client.sendall(sent)
        received = b""
        while chunk := client.recv(65_536):
            received += chunk
        return received


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x00\xa5\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n", b"413"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"411"),
        (b"GET /" + b"x" * 70_000, b"431"),
        (b"GET /none HTTP/1.0\r\n\r\n", b"404"),
        (b"POST / HTTP/1.0\r\n\r\n", b"400"),
    ],
)
def test_bad_requests_are_answered_and_harm_nobody(
    emulator: EmulatorProcess, sent: bytes, status: bytes
):
    assert exchange(emulator, sent).startswith(b"HTTP/1.1 " + status)
    assert emulator.health()["streams"] == 0


@pytest.mark.parametrize(
    ("body", "content_type", "code"),
    [
        (b"{", "application/x-amz-json-1.1", "SerializationException"),
        (
            b'{"StreamName": "\xff"}',
            "application/x-amz-json-1.1",
            "SerializationException",
        ),
        (b"[]", "application/x-amz-json-1.1", "ValidationException"),
        (b'{"StreamName": 7}', "application/x-amz-json-1.1", "ValidationException"),
        (b'{"Wrong": 1}', "application/x-amz-json-1.1", "ValidationException"),
        (b"\xa0", "application/x-amz-cbor-1.1", "SerializationException"),
    ],
)
def test_bad_bodies_are_refused(
    emulator: EmulatorProcess, body: bytes, content_type: str, code: str
):
    with closing(HTTPConnection("127.0.0.1", emulator.port, timeout=5)) as connection:
        headers = {
            "X-Amz-Target": "Kinesis_20131202.DescribeStream",
            "Content-Type": content_type,
        }
        connection.request("POST", "/", body, headers)
        response = connection.getresponse()

        assert response.status == 400
        assert json.loads(response.read())["__type"] == code


def test_clients_that_vanish_harm_nobody(
    emulator: EmulatorProcess, kinesis: KinesisClient
):
    body = base64.b64encode(b"x" * 100_000)
    head = b"POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n"
    for sent in (b"", b"POST", head, head + body):
        with socket.create_connection(("127.0.0.1", emulator.port)) as client:
            client.sendall(sent)

    put(kinesis, [b"x"])
    assert data_of(read_from(kinesis)) == [b"x"]


def test_a_client_may_wait_before_it_sends_the_body(emulator: EmulatorProcess):
    request = (
        b"POST / HTTP/1.1\r\nX-Amz-Target: Kinesis_20131202.ListStreams\r\n"
        b"Expect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", emulator.port), timeout=5) as client:
        client.sendall(request)
        assert client.recv(1_000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"{}")
        assert client.recv(1_000).startswith(b"HTTP/1.1 200 OK\r\n")


def test_requests_on_one_connection_are_answered_in_their_order(
    emulator: EmulatorProcess,
):
    request = b"GET /health HTTP/1.1\r\n\r\n"
    other = b"GET /none HTTP/1.1\r\n\r\n"
    last = b"GET /health HTTP/1.0\r\n\r\n"

    received = exchange(emulator, request + other + last)

    statuses = [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"404", b"200"]
