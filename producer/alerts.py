"""Alerts: what a person should know at once, told when it begins and when it ends."""

from collections.abc import Sequence

from conf.logs import get_logger
from producer.alert_targets import Alert, Target, tell
from producer.history_process import Budget
from producer.status import Status

LOW_BUDGET_SHARE = 0.1
"""Less of the minute's REST calls than this is an alert."""

_log = get_logger(__name__)


class Alerts:
    """Compares the state of each second with the last one.

    Args:
        disconnected_s: So long without a connection is an alert.
        targets: Who is told beside the log.
    """

    def __init__(self, disconnected_s: float, targets: Sequence[Target] = ()) -> None:
        self._disconnected_s, self._targets = disconnected_s, targets
        self._firing: dict[str, str] = {}
        self._away_since_s: dict[str, float] = {}
        self._lost = 0

    def check(self, status: Status, budget: Budget | None, now_s: float) -> list[Alert]:
        """Return what began and what ended, in the log and to every target.

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
            for target in self._targets:
                tell(target, alert)
        return changed

    def _conditions(
        self, status: Status, budget: Budget | None, now_s: float
    ) -> list[tuple[str, str]]:
        found = []
        for alert, state in (
            ("disconnected", status.state),
            ("account_disconnected", status.account_state),
        ):
            if self._is_away_too_long(alert, state, now_s):
                found.append((alert, f"state {state}"))
        if budget is not None and _is_low(budget, now_s):
            left = f"{budget.remaining} of {budget.limit} calls left this minute"
            found.append(("rest_budget_low", left))
        if status.spool_full:
            found.append(("spool_full", status.spool_problem or "at its bound"))
        if status.gaps_lost > self._lost:
            found.append(("data_lost", f"{status.gaps_lost} gaps could not be filled"))
            self._lost = status.gaps_lost
        return found

    def _is_away_too_long(self, alert: str, state: str | None, now_s: float) -> bool:
        if state in (None, "live", "draining"):
            self._away_since_s.pop(alert, None)
            return False
        since_s = self._away_since_s.setdefault(alert, now_s)
        return now_s - since_s >= self._disconnected_s


def _is_low(budget: Budget, now_s: float) -> bool:
    share = LOW_BUDGET_SHARE * budget.limit
    return budget.reset_s > now_s and budget.remaining < share
