"""One Lambda invocation follows the other, and the gap between them is filled."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from conf.errors import FixSetup
from conf.market.rfc3339 import parse_ns
from producer.lambda_handler import produce
from tests.integration.handing_over import (
    LEAVE_BEFORE_S,
    REFUSED_S,
    Limit,
    hand_over,
    hand_overs_s,
    prepare,
    settings,
)
from tests.integration.producing import Pipeline, stop

TIMES = 2


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    with ExitStack() as processes:
        made = Pipeline(tmp_path, processes)
        made.settings |= prepare()
        yield made


async def test_the_interval_is_told_and_filled_by_the_next(pipeline: Pipeline):
    pipeline.start_kinesis("--no-limits")
    simulator = pipeline.start_simulator()
    # On a busy machine one begins to read seconds late, and it takes seconds more until
    # one has told of the interval before it.
    answers = await hand_over(pipeline, TIMES, reading_s=10, last_s=14)
    blind_s = await hand_overs_s(pipeline, TIMES)
    assert stop(simulator) == 0

    assert [answer["unsent"] for answer in answers] == [0] * (TIMES + 1)
    assert answers[-1]["gaps_unsettled"] == 0
    assert all(REFUSED_S - 0.5 < one_s < 10 for one_s in blind_s), blind_s
    gaps = [json.loads(x.text) for x in pipeline.stored("gap")]
    assert {gap["cause"] for gap in gaps} == {"hand_over"}
    assert {gap["state"] for gap in gaps} == {"opened", "backfilled"}
    told = {(x["from"], x["to"]) for x in gaps if x["state"] == "opened"}
    told_s = [(parse_ns(to) - parse_ns(begin)) / 1e9 for begin, to in sorted(told)]
    assert told_s == pytest.approx(blind_s, abs=1.0)
    read = pipeline.stored() + pipeline.stored("backfill")
    found = {_sorted(x.text) for x in read}
    assert {_sorted(text) for text in pipeline.due()} <= found


async def test_a_time_limit_that_leaves_nothing_is_refused(pipeline: Pipeline):
    with pytest.raises(FixSetup, match="leave_before_s"):
        await produce(settings(pipeline), Limit(-LEAVE_BEFORE_S / 2))


def _sorted(text: str) -> str:
    return json.dumps(json.loads(text), sort_keys=True)
