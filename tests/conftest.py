"""Fixtures that several test folders share: one Spark session, one clock."""

from collections.abc import Iterator

import hypothesis
import pytest
from pyspark.sql import SparkSession

from conf.lake.session import build_session
from conf.settings import Settings, SparkSettings

# A shared machine is sometimes slow; how long a test takes is no property of the code.
hypothesis.settings.register_profile("tickhouse", deadline=None)
hypothesis.settings.load_profile("tickhouse")


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """One session for all tests: starting one takes longer than most of them."""
    chosen = Settings(spark=SparkSettings(driver_memory="1g", ui_port=4140))
    session = build_session(chosen, "tests")
    yield session
    session.stop()
