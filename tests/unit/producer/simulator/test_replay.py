import gzip
import itertools
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.errors import FixSetup
from conf.market.rfc3339 import format_ns, parse_ns
from producer.recording import merged
from producer.simulator.replay import Replay

ROOT = Path(__file__).parents[4]
TICKS = Path(os.environ.get("TICKHOUSE_DATA", ROOT.parent / "shared/data")) / "ticks"
START_NS = 1_795_398_612_345_678_901
OPEN_NS = parse_ns("2013-10-07T13:30:00Z")


def record(folder: Path, name: str, *messages: dict) -> None:
    text = "".join(json.dumps(message) + "\n" for message in messages)
    (folder / f"{name}.jsonl.gz").write_bytes(gzip.compress(text.encode(), 0))


def tick(offset_ns: int, kind: str = "t", symbol: str = "SPY", **more: object) -> dict:
    return {"T": kind, "S": symbol, "t": format_ns(OPEN_NS + offset_ns), **more}


@given(
    st.lists(
        st.lists(st.integers(0, 5).map(lambda s: s * 20), max_size=8),
        min_size=1,
        max_size=4,
    )
)
def test_files_merge_by_due_time_then_name_then_line(
    tmp_path_factory: pytest.TempPathFactory, files: list[list[int]]
):
    folder = tmp_path_factory.mktemp("recording")
    expected = []
    for number, seconds in enumerate(files):
        kind = "tb"[number % 2]
        delay = 60 if kind == "b" else 0
        lines = [
            tick(second * 10**9, kind, i=line)
            for line, second in enumerate(sorted(seconds))
        ]
        record(folder, str(number), *lines)
        expected += [
            (second + delay, number, line)
            for line, second in enumerate(sorted(seconds))
        ]

    found = list(merged(sorted(folder.iterdir())))

    assert [
        ((each.market_ns - OPEN_NS) // 10**9, json.loads(each.text)["i"])
        for each in found
    ] == [(due, line) for due, _, line in sorted(expected)]


def test_messages_keep_their_bytes_and_their_pace(tmp_path: Path):
    odd_text = b'{"S":"SPY", "T":"t","p":1.10,"t":"2013-10-07T13:30:02Z"}'
    record(tmp_path, "bars", tick(0, "b"))
    (tmp_path / "trades.jsonl.gz").write_bytes(gzip.compress(odd_text + b"\n"))

    replay = Replay(tmp_path, speed=29.0, rate_per_s=500)
    (batch,) = replay.batches(START_NS)

    assert batch.texts[0] == odd_text
    assert batch.routes == [("t", "SPY"), ("b", "SPY")]
    assert batch.due_ns == [START_NS, START_NS + 2 * 10**9]
    assert replay.clock(START_NS).market_time_ns(START_NS + 10**9) == (
        parse_ns("2013-10-07T13:30:31Z")
    )


def test_without_a_speed_the_rate_paces(tmp_path: Path):
    record(tmp_path, "trades", *(tick(i * 10**12) for i in range(1_300)))

    replay = Replay(tmp_path, speed=None, rate_per_s=500)
    batches = list(replay.batches(START_NS))
    due_ns = list(itertools.chain.from_iterable(batch.due_ns for batch in batches))

    assert due_ns == [START_NS + i * 2_000_000 for i in range(1_300)]
    assert batches[-1].market_ns[-1] == OPEN_NS + 1_299 * 10**12
    assert replay.clock(START_NS) is None


def test_a_folder_without_a_recording_is_refused(tmp_path: Path):
    with pytest.raises(FixSetup, match=r"simulator\.replay"):
        Replay(tmp_path, speed=None, rate_per_s=500)


def test_a_line_that_is_no_message_is_named(tmp_path: Path):
    record(tmp_path, "trades", tick(0), {"T": "t", "S": "SPY"})

    with pytest.raises(FixSetup, match=r"trades\.jsonl\.gz, line 2"):
        list(Replay(tmp_path, speed=None, rate_per_s=500).batches(START_NS))


@pytest.mark.parametrize(
    ("day", "messages"),
    [("2018-01-02-taq-XXX", 82_234), ("2018-01-03-taq-XXX", 75_389)],
)
def test_a_real_day_replays_whole_and_in_order(day: str, messages: int):
    if not (TICKS / day).exists():
        pytest.skip(f"no recordings in {TICKS}")
    batches = list(Replay(TICKS / day, speed=None, rate_per_s=4_096).batches(START_NS))
    market_ns = list(itertools.chain.from_iterable(b.market_ns for b in batches))

    assert len(market_ns) == messages
    assert market_ns == sorted(market_ns)
