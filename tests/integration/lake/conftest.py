"""Lakes of their own for the tests of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from conf.lake.fence import open_fence
from conf.settings import LakeSettings


@pytest.fixture(params=["embedded", "spark"])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> LakeSettings:
    """A new lake of each engine; the leases that its jobs take end with the test."""
    return LakeSettings(
        root=str(tmp_path / "lake"),
        checkpoints=str(tmp_path / "checkpoints"),
        engine=request.param,
    )


@pytest.fixture(autouse=True)
def no_lease_outlives_a_test() -> Iterator[None]:
    """Forget the leases: the next test's lake is another."""
    yield
    open_fence.cache_clear()
