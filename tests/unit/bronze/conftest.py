"""An emulated stream for the tests of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.bronze.emulated import Kinesis, open_kinesis


@pytest.fixture
def kinesis(tmp_path: Path) -> Iterator[Kinesis]:
    """One stream of one shard, without limits, at noon."""
    with open_kinesis(tmp_path) as kinesis:
        yield kinesis
