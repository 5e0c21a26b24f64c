"""Emulators for the tests of this folder."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from types_boto3_kinesis import KinesisClient

from tests.integration.kinesis_emulator.running import STREAM, EmulatorProcess


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., EmulatorProcess]]:
    """Start emulators; all of them are gone when the test ends."""
    with ExitStack() as running:

        def start_one(*options: str, folder: str = "data") -> EmulatorProcess:
            emulator = EmulatorProcess(tmp_path / folder, *options)
            running.callback(emulator.kill)
            return emulator

        yield start_one


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    """One emulator for all tests that leave it running."""
    emulator = EmulatorProcess(tmp_path_factory.mktemp("shared"), "--no-limits")
    yield emulator
    emulator.kill()


@pytest.fixture
def emulator(shared: EmulatorProcess) -> EmulatorProcess:
    """An emulator without streams, which refuses nobody for coming too often."""
    client = shared.client()
    shared.control("DELETE", "/faults")
    for name in client.list_streams()["StreamNames"]:
        client.delete_stream(StreamName=name)
    return shared


@pytest.fixture
def kinesis(emulator: EmulatorProcess) -> KinesisClient:
    """A client of an emulator with one stream of one shard."""
    client = emulator.client()
    client.create_stream(StreamName=STREAM, ShardCount=1)
    return client


@pytest.fixture
def limited_emulator(start: Callable[..., EmulatorProcess]) -> EmulatorProcess:
    """An emulator with AWS's limits."""
    return start()


@pytest.fixture
def limited(limited_emulator: EmulatorProcess) -> KinesisClient:
    """A client of an emulator with AWS's limits and one stream of one shard."""
    client = limited_emulator.client()
    client.create_stream(StreamName=STREAM, ShardCount=1)
    return client
