"""The producer's state as Prometheus metrics, on a port of this machine."""

from prometheus_client import CollectorRegistry, Gauge, start_http_server

from conf.errors import FixSetup
from producer.history_process import Budget
from producer.status import Status

STATES = ("connecting", "live", "backoff", "held", "draining")

_GAUGES = {
    "messages_total": "Messages received",
    "records_total": "Records that Kinesis acknowledged",
    "retried_entries": "Records that were sent again",
    "queue_depth": "Records that Kinesis has not acknowledged",
    "last_frame_age_s": "Seconds since the last frame",
    "behind_ms": "Age of the oldest message that is not acknowledged",
    "spool_bytes": "Bytes on disk",
    "spool_full": "1 while the feed is left because nothing more fits",
    "spool_commit_ms": "Length of the last commit to disk",
    "connections": "Subscriptions that were confirmed",
    "account_connections": "Times that the account stream was listened to",
    "market_open": "1 while the calendar says that the market is open",
    "slow_client_errors": "Times that the server called us too slow (407)",
    "gaps_open": "Symbols of channels that do not come at present",
    "gaps_unsettled": "Gaps that are open or not filled yet",
    "gaps_lost": "Gaps that could not be filled",
    "backfilled_rows": "Messages published from history",
    "spool_unreadable": "Records on disk that backfill could not read back",
    "spool_damaged": "Records that could not be sent: changed on disk, or gone",
    "rest_throttled": "REST answers 429",
}


class Metrics:
    """Gauges that repeat the status.

    Args:
        port: On 127.0.0.1.

    Raises:
        FixSetup: The port is taken.
    """

    def __init__(self, port: int) -> None:
        registry = CollectorRegistry()
        self._gauges = {
            name: Gauge(f"tickhouse_producer_{name}", text, registry=registry)
            for name, text in _GAUGES.items()
        }
        self._state = Gauge(
            "tickhouse_producer_state", "1 for the state", ["state"], registry=registry
        )
        self._account_live = Gauge(
            "tickhouse_producer_account_live",
            "1 while the account stream is listened to",
            registry=registry,
        )
        self._budget = Gauge(
            "tickhouse_producer_rest_calls_left",
            "REST calls left in this minute",
            registry=registry,
        )
        try:
            start_http_server(port, addr="127.0.0.1", registry=registry)
        except OSError as error:
            raise FixSetup(
                f"watch.metrics_port {port}", str(error), "Choose a free port"
            ) from error

    def show(self, status: Status, budget: Budget | None) -> None:
        """Set every gauge."""
        for name, gauge in self._gauges.items():
            gauge.set(getattr(status, name) or 0)
        for state in STATES:
            self._state.labels(state).set(state == status.state)
        self._account_live.set(status.account_state == "live")
        if budget is not None:
            self._budget.set(budget.remaining)
