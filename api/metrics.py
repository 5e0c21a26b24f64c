"""Prometheus metrics of one API process."""

import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.lake import Lake
from api.stream import Hub

_BUCKETS_S = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """What is counted; each application has its own.

    Args:
        lake: The tables; asked when the metrics are.
        hub: The live stream; likewise.
    """

    def __init__(self, lake: Lake, hub: Hub) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(_State(lake, hub))
        ProcessCollector(registry=self.registry)
        self.request_seconds = Histogram(
            "tickhouse_api_request_seconds",
            "Until the answer's last byte; without streams",
            ("path", "method", "status"),
            buckets=_BUCKETS_S,
            registry=self.registry,
        )


class _State(Collector):
    """What is now, read when it is asked for."""

    def __init__(self, lake: Lake, hub: Hub) -> None:
        self._lake, self._hub = lake, hub

    def collect(self) -> Iterator[Metric]:
        """Yield versions and ages of the tables, and how the stream gets on."""
        version = GaugeMetricFamily(
            "tickhouse_table_version", "Newest Delta version", labels=["table"]
        )
        age = GaugeMetricFamily(
            "tickhouse_table_age_seconds", "Since its newest commit", labels=["table"]
        )
        files = GaugeMetricFamily(
            "tickhouse_table_files", "Files of the newest version", labels=["table"]
        )
        now_s = time.time()
        for name, snapshot in self._lake.snapshots.items():
            version.add_metric([name], snapshot.version)
            files.add_metric([name], len(snapshot.files))
            if snapshot.commit_time is not None:
                age.add_metric([name], now_s - snapshot.commit_time.timestamp())
        yield from (version, age, files)
        yield GaugeMetricFamily(
            "tickhouse_stream_clients", "Open streams", value=self._hub.clients
        )
        yield CounterMetricFamily(
            "tickhouse_stream_events", "Events sent", value=self._hub.events_total
        )
        yield CounterMetricFamily(
            "tickhouse_stream_evicted",
            "Clients cut off because they did not read",
            value=self._hub.evicted_total,
        )


class MeasuredRequests:
    """Middleware that measures each request by the path of its route.

    A path that no route knows is counted as one, so that a scan of the server does not
    grow the metrics.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_s, status, is_stream = time.perf_counter(), 500, False

        async def watched(message: Message) -> None:
            nonlocal status, is_stream
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = dict(message["headers"])
                kind = headers.get(b"content-type", b"")
                is_stream = kind.startswith(b"text/event-stream")
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            if not is_stream:
                path = getattr(scope.get("route"), "path", "other")
                self._metrics.request_seconds.labels(
                    path, scope["method"], str(status)
                ).observe(time.perf_counter() - began_s)
