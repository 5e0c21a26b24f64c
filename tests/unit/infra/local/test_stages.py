from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.settings import AlpacaSettings, KinesisSettings, Settings
from infra.local import state
from infra.local.stages import Observer, Rate
from infra.local.state import ApiStatus, LakeStatus, ProducerStatus, QueryStatus

NOW = 1_700_000_000.0


def test_rate_is_that_of_the_last_ten_seconds():
    rate = Rate()
    assert rate.add(0, 0) is None
    for second in range(1, 31):
        steady = rate.add(second, second * 100)
    assert steady == 100
    for second in range(31, 41):
        stalled = rate.add(second, 3000)
    assert stalled == 0


def test_rate_begins_anew_with_a_new_process():
    rate = Rate()
    rate.add(0, 5000)
    assert rate.add(1, 10) is None
    assert rate.add(2, 30) == 20


@given(st.lists(st.none() | st.integers(0, 10**12), max_size=50))
def test_rate_is_never_negative(totals: list[int | None]):
    rate = Rate()
    rates = [rate.add(second, total) for second, total in enumerate(totals)]
    assert all(value is None or value >= 0 for value in rates)


@pytest.fixture
def remote(tmp_path: Path) -> Settings:
    """Settings under which nothing is asked by HTTP."""
    return Settings(
        var=tmp_path,
        alpaca=AlpacaSettings(url="wss://stream.data.alpaca.markets"),
        kinesis=KinesisSettings(endpoint_url=None),
    )


def _tell(settings: Settings, name: str, value: msgspec.Struct) -> None:
    state.write(state.run_folder(settings) / name, value)


def test_stages_follow_the_flow_before_anything_has_started(remote: Settings):
    waiting = dict.fromkeys(("lake", "producer", "api"), "waiting")
    stages = Observer(remote).observe(waiting, NOW)
    assert [(stage.name, stage.state) for stage in stages] == [
        ("alpaca", "remote"),
        ("producer", "waiting"),
        ("kinesis", "remote"),
        ("bronze", "waiting"),
        ("silver", "waiting"),
        ("gold", "waiting"),
        ("api", "waiting"),
    ]


def test_page_is_where_a_live_api_says(remote: Settings):
    _tell(remote, "api.json", ApiStatus("live", url="http://127.0.0.1:8001"))
    observer = Observer(remote)
    observer.observe({"api": "backoff"}, NOW)
    assert observer.url is None
    assert observer.observe({"api": "live"}, NOW)[-1].state == "live"
    assert observer.url == "http://127.0.0.1:8001"


def test_layer_lag_is_the_age_of_its_newest_row_now(remote: Settings):
    query = QueryStatus(
        rows=5, rows_total=50, finished=NOW - 2, newest_age_s=0.5, oldest_age_s=1.5
    )
    _tell(remote, "lake.json", LakeStatus("live", updated=NOW, queries={"gold": query}))
    observer = Observer(remote)
    gold = observer.observe({"lake": "live"}, NOW)[5]
    assert (gold.lag_s, gold.latency_s, gold.total) == (2.5, 1.5, 50)
    assert observer.gold_rows() == 50


def test_driver_that_says_nothing_is_shown_as_silent(remote: Settings):
    _tell(remote, "lake.json", LakeStatus("live", updated=NOW - 12))
    bronze = Observer(remote).observe({"lake": "live"}, NOW)[3]
    assert bronze.state == "silent 12 s"


def test_state_of_a_dead_producer_is_not_believed(remote: Settings):
    _tell(remote, "producer.json", ProducerStatus("live", messages_total=9))
    producer = Observer(remote).observe({"producer": "backoff"}, NOW)[1]
    assert (producer.state, producer.total) == ("backoff", None)


def test_what_the_processes_write_can_be_read():
    told = msgspec.json.decode(
        b'{"state":"live","pid":7,"ui_url":"http://127.0.0.1:4040","error":null,'
        b'"updated":1.5,"queries":{"bronze":{"batch_id":3,"rows":1,"rows_total":2,'
        b'"batch_ms":300,"finished":1.0,"newest_age_s":null,"oldest_age_s":0.5}}}',
        type=LakeStatus,
    )
    assert told.queries["bronze"].rows_total == 2
    msgspec.json.decode(
        b'{"state":"live","epoch":"e","messages_per_s":1.0,"messages_total":1,'
        b'"records_total":1,"retried_entries":0,"queue_depth":0,'
        b'"last_frame_age_s":null,"behind_ms":0.0,"subscription_mismatch":null}',
        type=ProducerStatus,
    )
