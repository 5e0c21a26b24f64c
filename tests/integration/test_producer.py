"""Everything a server sends is in Kinesis, whatever happens on the way."""

import json
import shutil
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path

import pytest

from conf.market.envelope import Line, unpack
from producer.segments import DAMAGED_FOLDER, RECORD, Segments, Stored
from tests.integration.producing import Pipeline, Process, eventually, stop

UNLIMITED = "--no-limits"


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    with ExitStack() as processes:
        yield Pipeline(tmp_path, processes)


def test_every_message_is_stored_exactly_as_sent(pipeline: Pipeline):
    pipeline.settings |= {
        "SIMULATOR__REPEATED_SHARE": "0.02",
        "SIMULATOR__OUT_OF_ORDER_SHARE": "0.01",
        "SIMULATOR__MALFORMED_SHARE": "0.02",
    }
    pipeline.start_kinesis(UNLIMITED)
    simulator, producer = pipeline.start_simulator(), pipeline.start_producer()
    pipeline.finish(simulator, producer)
    stored = pipeline.stored()
    assert [x.text for x in stored] == pipeline.truth()
    assert any(x.line.error for x in stored)
    assert {x.header.source for x in stored} == {"simulator/iex"}
    assert {"AAPL", "SPY", "unknown"} <= {x.partition_key for x in stored}
    status = pipeline.status()
    assert (status["state"], status["queue_depth"]) == ("draining", 0)


def test_msgpack_arrives_as_the_same_json(pipeline: Pipeline):
    pipeline.settings |= {"ALPACA__ENCODING": "msgpack", "SIMULATOR__STOP_AFTER_S": "1"}
    pipeline.start_kinesis(UNLIMITED)
    simulator, producer = pipeline.start_simulator(), pipeline.start_producer()
    pipeline.finish(simulator, producer)
    stored = [json.loads(x.text) for x in pipeline.stored()]
    assert stored == [json.loads(x) for x in pipeline.truth()]


def test_a_killed_kinesis_comes_back_and_nothing_is_lost(pipeline: Pipeline):
    duplicates = (UNLIMITED, "--duplicate-rate", "0.05", "--seed", "3")
    kinesis = pipeline.start_kinesis(*duplicates)
    simulator, producer = pipeline.start_simulator(), pipeline.start_producer()
    eventually(lambda: pipeline.has_read(500), "the market runs")
    kinesis.send_signal(signal.SIGKILL)
    kinesis.wait()
    acknowledged = pipeline.status()["messages_total"]
    assert isinstance(acknowledged, int)
    eventually(lambda: pipeline.has_read(acknowledged + 500), "reading goes on")
    pipeline.start_kinesis(*duplicates)
    pipeline.finish(simulator, producer)
    by_place = [list(x) for _, x in groupby(pipeline.stored(), key=lambda x: x.place)]
    assert [copies[0].text for copies in by_place] == pipeline.truth()
    assert any(len(copies) > 1 for copies in by_place)
    assert all(copy == copies[0] for copies in by_place for copy in copies)


def test_what_a_killed_producer_had_on_disk_is_sent_by_the_next(pipeline: Pipeline):
    kinesis = pipeline.start_kinesis(UNLIMITED)
    simulator, producer = pipeline.start_simulator(), pipeline.start_producer()
    eventually(lambda: pipeline.has_read(200), "the market runs")
    kinesis.send_signal(signal.SIGKILL)
    kinesis.wait()
    eventually(lambda: pipeline.has_read(1000), "reading goes on")
    on_disk = pipeline.status()["messages_total"]
    assert isinstance(on_disk, int)
    eventually(lambda: pipeline.has_read(on_disk + 1), "a second has passed")
    producer.send_signal(signal.SIGKILL)
    producer.wait()
    pipeline.start_kinesis(UNLIMITED)
    pipeline.start_producer()
    eventually(lambda: pipeline.simulated()["finished"], "the market ends")
    eventually(lambda: pipeline.status().get("queue_depth") == 0, "all is sent")
    assert stop(simulator) == 0
    by_epoch = [list(x) for _, x in groupby(pipeline.stored(), lambda x: x.place[0])]
    first = list(dict.fromkeys((x.place, x.text) for x in by_epoch[0]))
    texts = [text for _, text in first]
    assert len(texts) >= on_disk
    assert texts == pipeline.truth()[: len(texts)]


def test_a_damaged_record_on_disk_costs_nothing_behind_it(pipeline: Pipeline):
    simulator = leave_unsent(pipeline)
    damaged = damage(pipeline, to_the_end=False)
    pipeline.start_kinesis(UNLIMITED)
    check_mended(pipeline, damaged)
    assert stop(simulator) == 0


def test_damage_to_the_end_of_a_file_before_the_last_is_filled(pipeline: Pipeline):
    simulator = leave_unsent(pipeline)
    pipeline.start_kinesis(UNLIMITED)
    with pipeline.refusing_puts():
        (pipeline.folder / "var" / "run" / "producer.json").unlink()
        producer = pipeline.start_producer()
        eventually(lambda: pipeline.status().get("state") == "live", "it is live")
        seconds = pipeline.status()
        eventually(lambda: pipeline.status() != seconds, "it writes a file of its own")
        producer.send_signal(signal.SIGKILL)
        producer.wait()
        damaged = damage(pipeline, to_the_end=True)
    check_mended(pipeline, damaged)
    assert stop(simulator) == 0


def leave_unsent(pipeline: Pipeline) -> Process:
    """Let Kinesis and the producer die with records on disk; return the simulator."""
    # what has no history would be lost
    pipeline.settings |= {"ALPACA__STATUSES": "", "ALPACA__LULDS": ""}
    kinesis = pipeline.start_kinesis(UNLIMITED)
    simulator, producer = pipeline.start_simulator(), pipeline.start_producer()
    eventually(lambda: pipeline.has_read(200), "the market runs")
    kinesis.send_signal(signal.SIGKILL)
    kinesis.wait()
    eventually(lambda: pipeline.has_read(1000), "reading goes on")
    eventually(lambda: pipeline.simulated()["finished"], "the market ends")
    producer.send_signal(signal.SIGKILL)
    producer.wait()
    return simulator


def damage(pipeline: Pipeline, *, to_the_end: bool) -> list[Line]:
    """Damage the last but one record of messages in the oldest file, or all from there.

    Return what the records held of which anything changed.
    """
    spool = pipeline.folder / "var" / "spool"
    segments = Segments(spool)
    entries = [entry for entry in segments.read_all() if entry.kind == RECORD]
    segments.close()
    first = entries[0].place.segment
    records = [
        entry
        for entry in entries
        if entry.place.segment == first and unpack(entry.body)[0].kind == "data"
    ]
    place = records[-2].place
    path = spool / f"{first:012d}.spool"
    content = bytearray(path.read_bytes())
    begin = place.offset + place.length // 2
    end = len(content) if to_the_end else begin + 1
    content[begin:end] = (byte ^ 1 for byte in content[begin:end])
    path.write_bytes(content)
    return [y for x in records[-2 : None if to_the_end else -1] for y in lines(x)]


def lines(entry: Stored) -> list[Line]:
    return unpack(entry.body)[1]


def check_mended(pipeline: Pipeline, damaged: list[Line]) -> None:
    """Let two producers drain, and compare what is stored with what was sent."""
    for _ in range(2):
        (pipeline.folder / "var" / "run" / "producer.json").unlink()
        producer = pipeline.start_producer()
        eventually(lambda: pipeline.status().get("state") == "live", "it is live")
        eventually(lambda: pipeline.status().get("queue_depth") == 0, "all is sent")
        eventually(lambda: pipeline.status().get("gaps_unsettled") == 0, "it is filled")
        assert stop(producer) == 0
    gaps = [json.loads(x.text) for x in pipeline.stored("gap")]
    assert "spool_damaged" in {gap["cause"] for gap in gaps}
    kept = pipeline.folder / "var" / "spool" / DAMAGED_FOLDER
    assert len(list(kept.iterdir())) == 1
    live = {x.text for x in pipeline.stored()}
    lost = {bytes(x.message).decode() for x in damaged if x.message is not None}
    assert lost
    assert live.isdisjoint(lost)
    stored = {json.dumps(json.loads(text)) for text in live}
    stored |= {json.dumps(json.loads(x.text)) for x in pipeline.stored("backfill")}
    assert stored >= {json.dumps(json.loads(text)) for text in pipeline.truth()}


def test_a_producer_on_a_new_disk_opens_the_gap_from_the_last_heartbeat(
    pipeline: Pipeline,
):
    pipeline.settings |= {
        "SIMULATOR__STOP_AFTER_S": "60",
        # what has no history would be lost
        "ALPACA__STATUSES": "",
        "ALPACA__LULDS": "",
    }
    pipeline.start_kinesis(UNLIMITED)
    simulator, producer = pipeline.start_simulator(), pipeline.start_producer()
    eventually(lambda: pipeline.has_read(1_000), "the market runs")
    eventually(lambda: len(pipeline.stored("heartbeat")) > 2, "heartbeats are stored")
    producer.send_signal(signal.SIGKILL)
    producer.wait()
    shutil.rmtree(pipeline.folder / "var" / "spool")
    second = pipeline.start_producer()
    eventually(lambda: pipeline.stored("gap"), "the gap is told")
    eventually(lambda: pipeline.status().get("gaps_unsettled") == 0, "it is filled")
    assert stop(second) == 0
    assert stop(simulator) == 0
    gaps = [json.loads(x.text) for x in pipeline.stored("gap")]
    assert {gap["cause"] for gap in gaps} == {"new_disk"}
    assert {gap["state"] for gap in gaps} == {"opened", "backfilled"}
    have = {(x.text, x.line.occurrence) for x in pipeline.stored()}
    have |= {(x.text, x.line.occurrence) for x in pipeline.stored("backfill")}
    have_values = {(json.dumps(json.loads(text)), n) for text, n in have}
    sent = [json.dumps(json.loads(text)) for text in pipeline.due()]
    assert set(sent) == {text for text, _ in have_values}


def test_a_throttled_shard_loses_nothing(pipeline: Pipeline):
    pipeline.settings |= {
        "KINESIS__SHARDS": "1",  # takes 1,000 records a second
        "KINESIS__RECORD_MAX_MESSAGES": "1",
        "SIMULATOR__RATE_PER_S": "2000",
        "SIMULATOR__STOP_AFTER_S": "1",
    }
    pipeline.start_kinesis()
    simulator, producer = pipeline.start_simulator(), pipeline.start_producer()
    pipeline.finish(simulator, producer)
    assert pipeline.status()["retried_entries"] != 0
    assert [x.text for x in pipeline.stored()] == pipeline.truth()


def test_heartbeats_and_the_sessions_before_are_published(pipeline: Pipeline):
    pipeline.settings |= {
        "SIMULATOR__HISTORY": "true",
        "SIMULATOR__HISTORY_SESSIONS": "3",
        "SIMULATOR__SYMBOLS": "AAPL,MSFT",
        "ALPACA__TRADES": "AAPL,MSFT",
        "ALPACA__QUOTES": "AAPL",
        "ALPACA__BARS": "MSFT",
        "ALPACA__UPDATED_BARS": "MSFT",
        "ALPACA__STATUSES": "",
        "ALPACA__LULDS": "",
    }
    pipeline.start_kinesis(UNLIMITED)
    simulator = pipeline.start_simulator()
    for _ in range(2):
        producer = pipeline.start_producer()
        eventually(lambda: pipeline.status().get("state") == "live", "it is live")
        assert stop(producer) == 0
    assert stop(simulator) == 0
    heartbeat = pipeline.stored("heartbeat")[-1]
    assert heartbeat.partition_key == "heartbeat"
    assert set(json.loads(heartbeat.text)["last_event_time"]) == {"AAPL", "MSFT"}
    history = pipeline.stored("history")
    first, second = history[::2], history[1::2]
    assert [(x.place, x.text) for x in first] == [(x.place, x.text) for x in second]
    bars = [json.loads(x.text) for x in first]
    assert {bar["T"] for bar in bars} == {"b"}
    assert first[0].header.epoch == f"history-{min(bar['t'] for bar in bars)}"
    assert {bar["S"] for bar in bars} == {"AAPL", "MSFT"}
    assert len({(bar["S"], bar["t"]) for bar in bars}) == len(bars) == 2 * 3 * 390


def test_refused_keys_end_with_exit_code_2_and_one_line(pipeline: Pipeline):
    pipeline.settings["ALPACA__API_KEY"] = "wrong"
    pipeline.start_kinesis()
    pipeline.start_simulator()
    assert pipeline.start_producer().wait(timeout=30) == 2
    last = pipeline.log("producer").read_text().splitlines()[-1]
    assert last.startswith("error: ALPACA_API_KEY, ALPACA_SECRET_KEY: ")


def test_a_wrong_setting_ends_with_exit_code_3(pipeline: Pipeline):
    pipeline.settings["KINESIS__SHARDS"] = "none"
    assert pipeline.start_producer().wait(timeout=30) == 3
    (line,) = pipeline.log("producer").read_text().splitlines()
    assert "kinesis.shards" in line


def test_a_producer_without_server_stops_when_told(pipeline: Pipeline):
    pipeline.start_kinesis()
    simulator, producer = pipeline.start_simulator(), pipeline.start_producer()
    eventually(lambda: pipeline.status().get("state") == "live", "it is live")
    simulator.kill()
    eventually(lambda: pipeline.status().get("state") == "backoff", "it waits")
    assert stop(producer) == 0
