"""How long nobody reads between two Lambda invocations: the p95 of many hand-overs.

After each invocation leaves, the server refuses the next one with 406 for two seconds,
as Alpaca does while it still counts a connection. Run with ``pytest -m load -s
tests/load/test_hand_over_time.py``; ``HAND_OVERS`` sets how many there are.
"""

import json
import os
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from tests.integration.handing_over import hand_over, hand_overs_s, prepare
from tests.integration.producing import Pipeline

HAND_OVERS = int(os.environ.get("HAND_OVERS", "25"))
BOUND_S = 3.0

pytestmark = pytest.mark.load


async def test_the_next_invocation_reads_within_3_s(tmp_path: Path):
    with ExitStack() as processes:
        pipeline = Pipeline(tmp_path, processes)
        pipeline.settings |= prepare()
        pipeline.start_kinesis("--no-limits")
        pipeline.start_simulator()
        await hand_over(pipeline, HAND_OVERS, reading_s=8, last_s=5)
        times_s = await hand_overs_s(pipeline, HAND_OVERS)
    p50_s, p95_s = (float(np.percentile(times_s, q)) for q in (50, 95))
    figures = {"hand_overs": len(times_s), "p50_s": p50_s, "p95_s": p95_s}
    sys.stdout.write(json.dumps({**figures, "max_s": max(times_s)}) + "\n")
    assert len(times_s) > 0.8 * HAND_OVERS
    assert p95_s <= BOUND_S
