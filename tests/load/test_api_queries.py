"""The API answers fast while 4,096 rows a second are committed beside it."""

from pathlib import Path

import pytest

from tests.load import api_queries

RSS_MAX_MB = 800


@pytest.mark.load
async def test_answers_are_fast_while_rows_arrive(tmp_path: Path):
    found = await api_queries.measured(tmp_path)
    assert found["newest_trades_ms"]["p95"] <= 30
    assert found["newest_quotes_ms"]["p95"] <= 30
    assert found["group_by_ms"]["p95"] <= 300
    assert found["api_memory_mb"] <= RSS_MAX_MB
