"""The rehearsal runs the true queries and leaves nothing behind."""

import pytest

from conf.settings import Settings
from infra.rehearsal import rehearse

pytestmark = pytest.mark.spark


def test_a_rehearsal_reaches_gold_and_leaves_no_trace(spark, tmp_path):
    chosen = Settings(var=tmp_path)

    assert rehearse(spark, chosen, rounds=1) > 20
    assert [path.name for path in tmp_path.rglob("*")] == ["spark"]
    assert spark.streams.active == []
