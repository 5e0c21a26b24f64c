"""Alerts: what a person should know at once, told when it begins and when it ends."""

import http.client
import threading
from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec

from conf.errors import FixSetup
from conf.logs import get_logger
from producer.history_process import Budget
from producer.status import Status

LOW_BUDGET_SHARE = 0.1
"""Less of the minute's REST calls than this is an alert."""

_TIMEOUT_S = 5.0
_log = get_logger(__name__)


class Alert(msgspec.Struct, frozen=True):
    """One alert at one moment; ``state`` is firing or resolved, time in epoch s."""

    alert: str
    state: str
    detail: str
    time_s: float


class Alerts:
    """Compares the state of each second with the last one.

    Args:
        disconnected_s: So long without a connection is an alert.
        webhook_url: Alerts are posted there as JSON; None: they are only logged.

    Raises:
        FixSetup: The URL is none.
    """

    def __init__(self, disconnected_s: float, webhook_url: str | None) -> None:
        self._disconnected_s, self._webhook_url = disconnected_s, webhook_url
        if webhook_url is not None and urlsplit(webhook_url).scheme not in (
            "http",
            "https",
        ):
            raise FixSetup(
                "watch.webhook_url",
                f"{webhook_url!r} is no URL",
                "Set https://host/path",
            )
        self._firing: dict[str, str] = {}
        self._not_live_since_s: float | None = None
        self._lost = 0

    def check(self, status: Status, budget: Budget | None, now_s: float) -> list[Alert]:
        """Return what began and what ended, logged and posted.

        Args:
            status: The producer's state.
            budget: REST calls left, None while unknown.
            now_s: Epoch seconds.
        """
        found = dict(self._conditions(status, budget, now_s))
        changed = [
            Alert(name, "firing", detail, now_s)
            for name, detail in found.items()
            if name not in self._firing
        ]
        changed += [
            Alert(name, "resolved", detail, now_s)
            for name, detail in self._firing.items()
            if name not in found
        ]
        self._firing = found
        for alert in changed:
            log = _log.error if alert.state == "firing" else _log.info
            log("alert", alert=alert.alert, state=alert.state, detail=alert.detail)
            if self._webhook_url is not None:
                _in_background(_post, self._webhook_url, alert)
        return changed

    def _conditions(
        self, status: Status, budget: Budget | None, now_s: float
    ) -> list[tuple[str, str]]:
        found = []
        if status.state in ("live", "draining"):
            self._not_live_since_s = None
        else:
            self._not_live_since_s = self._not_live_since_s or now_s
            away_s = now_s - self._not_live_since_s
            if away_s >= self._disconnected_s:
                found.append(("disconnected", f"state {status.state}"))
        if budget is not None and _is_low(budget, now_s):
            left = f"{budget.remaining} of {budget.limit} calls left this minute"
            found.append(("rest_budget_low", left))
        if status.spool_full:
            found.append(("spool_full", status.spool_problem or "at its bound"))
        if status.gaps_lost > self._lost:
            found.append(("data_lost", f"{status.gaps_lost} gaps could not be filled"))
            self._lost = status.gaps_lost
        return found


def _is_low(budget: Budget, now_s: float) -> bool:
    share = LOW_BUDGET_SHARE * budget.limit
    return budget.reset_s > now_s and budget.remaining < share


def _in_background(call: Callable[[str, Alert], None], url: str, alert: Alert) -> None:
    threading.Thread(target=call, args=(url, alert), daemon=True).start()


def _post(url: str, alert: Alert) -> None:
    address = urlsplit(url)
    kind = (
        http.client.HTTPSConnection
        if address.scheme == "https"
        else http.client.HTTPConnection
    )
    connection = kind(address.hostname or "", address.port, timeout=_TIMEOUT_S)
    path = (address.path or "/") + (f"?{address.query}" if address.query else "")
    try:
        body = msgspec.json.encode(alert)
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        if answer.status >= http.client.MULTIPLE_CHOICES:
            _log.warning("webhook refused an alert", status=answer.status)
    except (OSError, http.client.HTTPException) as error:
        _log.warning("webhook does not answer", reason=str(error))
    finally:
        connection.close()
