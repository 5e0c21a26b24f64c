"""One validation of a lake: what is new in each table since the last one.

It only reads, and it reads files: no table, stream or process of the pipeline is
touched, whatever it finds.
"""

from collections.abc import Iterator
from functools import cache

import pandas as pd

from conf.lake.files import offline_connection
from conf.lake.progress import read_until
from conf.lake.tables import RECORDS, RESULTS, SYMBOL_STATS, TABLES, TRADES
from conf.logs import get_logger
from conf.settings import Settings
from infra.quality.balance import PLACE, balance
from infra.quality.frames import frame_of
from infra.quality.results import Verdict
from infra.quality.rules import Rule, Within, rules_of
from infra.quality.slices import Change, change_since, commit_time_s
from infra.quality.suites import (
    Finding,
    Suite,
    balance_suite,
    expectation,
    suite,
    suite_of,
)

BALANCE, FRESHNESS = "balance", "freshness"
CHECKED = tuple(table for table in TABLES.values() if table is not RESULTS)
_SILVER_QUERIES = ("silver", "silver_late")
_MAX_RECORDS = 20_000
"""Of bronze, whose rows are payloads of up to 25 KB."""

_FOLLOWS = {SYMBOL_STATS.name: TRADES.name}
"""Tables that follow another one closely, whatever the market does."""

_AGES = ("age_s", "behind_s")
_log = get_logger(__name__)


class Validation:
    """Validates a lake step by step, from where it stopped.

    Args:
        settings: Which lake, and the bounds.
        done: Version up to which each suite has been checked.
    """

    def __init__(self, settings: Settings, done: dict[str, int]) -> None:
        self._settings, self._root = settings, settings.lake.root
        # One thread: whatever else runs on this machine is in more of a hurry.
        self._connection = offline_connection(threads="1")
        self._done = dict(done)
        self._suite = cache(self._make_suite)

    def step(self, until_s: float | None = None) -> list[Verdict]:
        """Check the next slice of each table, and of the balance.

        Args:
            until_s: Leave what was committed later, Unix seconds.

        Returns:
            A verdict for each suite that had new rows; none when all is checked.
        """
        most = self._settings.quality.max_rows
        found = [
            self._judge(
                table.name, self._change(table.name, table.name, most, until_s=until_s)
            )
            for table in CHECKED
        ]
        until = self._read_by_silver()
        if until is not None:
            change = self._change(
                BALANCE, RECORDS.name, _MAX_RECORDS, until=until, until_s=until_s
            )
            found.append(self._judge(BALANCE, change))
        return [verdict for verdict in found if verdict]

    def freshness(self, now_s: float) -> list[Verdict]:
        """Judge the age of what moves all the time; for a running pipeline only.

        Args:
            now_s: Wall clock, Unix seconds.
        """
        rows = [*self._ages(now_s)]
        if not rows:
            return []
        frame = pd.DataFrame(rows, columns=["table", *_AGES])
        frame = frame.astype(dict.fromkeys(_AGES, float))
        found, document = self._suite(FRESHNESS).validate(frame)
        return [Verdict(FRESHNESS, found, document)]

    def _change(
        self,
        suite: str,
        table: str,
        most: int,
        *,
        until: int | None = None,
        until_s: float | None = None,
    ) -> Change | None:
        """Return what a suite has not looked at yet, and note that it does now."""
        after = self._done.get(suite, -1)
        contract = TABLES[table]
        change = change_since(
            self._root, contract, after, until=until, until_s=until_s, max_rows=most
        )
        if change:
            self._done[suite] = change.version
        return change if change and change.files else None

    def _judge(self, suite: str, change: Change | None) -> Verdict | None:
        """Check one slice; what cannot be read is a finding too."""
        if change is None:
            return None
        check = self._check_balance if suite == BALANCE else self._check_rows
        try:
            return check(change)
        except Exception as error:
            _log.exception("cannot be checked", suite=suite, version=change.version)
            unread = Finding(
                rule="the rows can be read",
                success=False,
                severity="critical",
                expectation="",
                rows_checked=0,
                error=f"{type(error).__name__}: {error}"[:500],
            )
            return Verdict(suite, [unread], None, change.after, change.version)

    def _check_rows(self, change: Change) -> Verdict:
        name = change.contract.name
        frame = frame_of(self._connection, change, self._rules(name))
        found, document = self._suite(name).validate(frame)
        return Verdict(name, found, document, change.after, change.version)

    def _check_balance(self, change: Change) -> Verdict:
        told = balance(self._connection, self._root, change, self._done)
        note = (
            f"{told.messages:,} messages: {told.placed:,} in silver or rejects, "
            f"{told.copies:,} copies"
        )
        found, document = self._suite(BALANCE).validate(told.records)
        return Verdict(BALANCE, found, document, change.after, change.version, note)

    def _read_by_silver(self) -> int | None:
        """Return the version of bronze up to which silver has written everything."""
        place = self._settings.lake.checkpoints
        read = [read_until(place, query) for query in _SILVER_QUERIES]
        known = [version for version in read if version is not None]
        return min(known) if len(known) == len(read) else None

    def _ages(self, now_s: float) -> Iterator[tuple[str, float | None, float | None]]:
        """Yield the age of bronze, and how far a table is behind what it follows."""
        if made_s := self._made_s(RECORDS.name):
            yield RECORDS.name, now_s - made_s, None
        for name, followed in _FOLLOWS.items():
            own_s, other_s = self._made_s(name), self._made_s(followed)
            if own_s and other_s:
                yield name, None, other_s - own_s

    def _made_s(self, name: str) -> float | None:
        version = self._done.get(name, -1)
        return commit_time_s(self._root, TABLES[name], version)

    def _rules(self, name: str) -> list[Rule]:
        return rules_of(
            TABLES[name],
            fresh_s=self._settings.quality.fresh_s,
            future_max_s=self._settings.lake.future_max_s,
        )

    def _make_suite(self, name: str) -> Suite:
        if name == BALANCE:
            return balance_suite(name, PLACE)
        if name == FRESHNESS:
            most = self._settings.quality.fresh_s
            ages = (Within(age, (age,), most=most) for age in _AGES)
            return suite(name, ("table",), [expectation(rule) for rule in ages])
        return suite_of(TABLES[name], self._rules(name))
