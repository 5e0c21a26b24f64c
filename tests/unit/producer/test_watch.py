"""Who is told what: alerts when something begins and ends, metrics all the time."""

import json
import socket
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from queue import Queue
from urllib.parse import parse_qs

import pytest

from conf.errors import FixSetup
from conf.settings import WatchSettings
from producer.alert_targets import sns_topic, targets, webhook
from producer.alerts import Alerts
from producer.history_process import Budget
from producer.metrics import Metrics
from producer.status import Status

TOPIC = "arn:aws:sns:us-east-1:123456789012:alerts"
LIVE = Status(
    state="live", epoch="e1", messages_per_s=1.0, messages_total=5, records_total=4,
    retried_entries=0, queue_depth=1, last_frame_age_s=None, behind_ms=2.0,
    subscription_mismatch=None, spool_bytes=9, spool_full=False, spool_problem=None,
    spool_commit_ms=1.5, gaps_open=0, gaps_unsettled=0, gaps_lost=0, backfilled_rows=0,
    spool_unreadable=0,
    spool_damaged=0,
    rest_throttled=0, connections=1, slow_client_errors=0,
)  # fmt: skip


def changed(**fields: object) -> Status:
    return Status(
        **{name: getattr(LIVE, name) for name in LIVE.__struct_fields__} | fields
    )


def told(alerts: Alerts, status: Status, now_s: float, budget: Budget | None = None):
    return [(x.alert, x.state) for x in alerts.check(status, budget, now_s)]


def test_not_being_connected_is_told_after_30_s_and_once():
    alerts, away = Alerts(30), changed(state="backoff")
    assert [told(alerts, away, now_s) for now_s in (0.5, 20, 30.4)] == [[], [], []]
    assert told(alerts, away, 30.5) == [("disconnected", "firing")]
    assert told(alerts, away, 60) == []
    assert told(alerts, LIVE, 61) == [("disconnected", "resolved")]
    assert told(alerts, away, 80) == []


def test_a_lost_account_stream_is_told_apart():
    alerts, away = Alerts(30), changed(account_state="backoff")
    assert told(alerts, LIVE, 0) == told(alerts, away, 10) == []
    assert told(alerts, away, 40) == [("account_disconnected", "firing")]
    back = changed(account_state="live")
    assert told(alerts, back, 41) == [("account_disconnected", "resolved")]


def test_a_budget_under_a_tenth_is_told_until_the_minute_is_over():
    alerts = Alerts(30)
    assert told(alerts, LIVE, 1, Budget(200, 20, 60)) == []
    assert told(alerts, LIVE, 2, Budget(200, 19, 60)) == [("rest_budget_low", "firing")]
    assert told(alerts, LIVE, 61, Budget(200, 19, 60)) == [
        ("rest_budget_low", "resolved")
    ]


def test_a_full_spool_and_lost_data_are_told():
    alerts = Alerts(30)
    worse = changed(spool_full=True, gaps_lost=2)
    assert told(alerts, worse, 1) == [("spool_full", "firing"), ("data_lost", "firing")]


def test_an_alert_is_posted_to_the_webhook():
    got: Queue[dict[str, object]] = Queue()

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            got.put({"path": self.path, **json.loads(self.rfile.read(length))})
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        serving = threading.Thread(target=server.handle_request)
        serving.start()
        hook = webhook(f"http://127.0.0.1:{server.server_port}/hook?a=b")
        alerts = Alerts(30, [hook])
        alerts.check(changed(spool_full=True, spool_problem="no room"), None, 5.0)
        posted = got.get(timeout=5)
        serving.join()
    assert posted == {
        "path": "/hook?a=b", "alert": "spool_full", "state": "firing",
        "detail": "no room", "time_s": 5.0,
    }  # fmt: skip


def test_an_alert_is_published_to_the_topic(monkeypatch: pytest.MonkeyPatch):
    got: Queue[dict[str, list[str]]] = Queue()

    class Sns(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            got.put(parse_qs(self.rfile.read(length).decode()))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(
                b"<PublishResponse><PublishResult><MessageId>1</MessageId>"
                b"</PublishResult></PublishResponse>"
            )

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Sns) as server:
        endpoint = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("AWS_ENDPOINT_URL_SNS", endpoint)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        serving = threading.Thread(target=server.handle_request)
        serving.start()
        Alerts(30, targets(WatchSettings(sns_topic_arn=TOPIC))).check(
            changed(spool_full=True, spool_problem="no room"), None, 5.0
        )
        published = got.get(timeout=10)
        serving.join()
    assert published["Action"] == ["Publish"]
    assert published["TopicArn"] == [TOPIC]
    assert published["Subject"] == ["Tickhouse: spool_full firing"]
    assert json.loads(published["Message"][0]) == {
        "alert": "spool_full", "state": "firing", "detail": "no room", "time_s": 5.0,
    }  # fmt: skip


def test_an_address_that_is_none_is_refused():
    with pytest.raises(FixSetup, match="webhook_url"):
        webhook("localhost:9000")
    with pytest.raises(FixSetup, match="sns_topic_arn"):
        sns_topic("alerts")


def test_metrics_repeat_the_status():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    metrics = Metrics(port)
    metrics.show(changed(gaps_open=3, account_state="live"), Budget(200, 150, 60))
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    assert "tickhouse_producer_gaps_open 3.0" in lines
    assert 'tickhouse_producer_state{state="live"} 1.0' in lines
    assert 'tickhouse_producer_state{state="held"} 0.0' in lines
    assert "tickhouse_producer_account_live 1.0" in lines
    assert "tickhouse_producer_rest_calls_left 150.0" in lines
    with pytest.raises(FixSetup, match="metrics_port"):
        Metrics(port)
