"""``quality.results``: what was checked and found, and from where to go on."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from conf.lake.create import ensure_tables
from conf.lake.fence import open_fence
from conf.lake.files import rows_of_version
from conf.lake.maintenance import tidy
from conf.lake.roots import table_uri
from conf.lake.tables import RESULTS

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuiteValidationResult

    from infra.quality.suites import Finding

_COMPACT_EVERY = 50
_LEASE_S = 15


@dataclass(frozen=True)
class Verdict:
    """What one suite found in what some versions added.

    Attributes:
        suite: Its name.
        findings: One per rule.
        document: The same for the Data Docs; None if nothing could be checked.
        after: The versions checked come after this one; None if not of one table.
        version: Up to this one.
        note: More figures, for a person to read.
    """

    suite: str
    findings: "Sequence[Finding]"
    document: "ExpectationSuiteValidationResult | None"
    after: int | None = None
    version: int | None = None
    note: str = ""

    @property
    def failed(self) -> "list[Finding]":
        """The findings of rules that do not hold."""
        return [finding for finding in self.findings if not finding.success]

    @property
    def is_critical(self) -> bool:
        """A rule that does not hold is more than a warning."""
        return any(finding.severity != "warning" for finding in self.failed)


class Results:
    """The table of results; this process is its only writer.

    Args:
        root: The lake, a local folder.
        keep_days: Older results are deleted.

    Raises:
        FixSetup: Another process validates this lake.
    """

    def __init__(self, root: str, keep_days: int) -> None:
        self._root, self._keep_days = root, keep_days
        self._commits = 0
        ensure_tables(root, [RESULTS])
        self._fence = open_fence(root, RESULTS.writer, _LEASE_S)

    def write(
        self, verdicts: Sequence[Verdict], run_id: str, checked_time: datetime
    ) -> None:
        """Add the findings of one run in one commit."""
        rows = [
            {
                **asdict(finding),
                "checked_time": checked_time,
                "run_id": run_id,
                "suite": verdict.suite,
                "after_version": verdict.after,
                "version": verdict.version,
                "day": checked_time.date(),
            }
            for verdict in verdicts
            for finding in verdict.findings
        ]
        uri = table_uri(self._root, RESULTS)
        with self._fence.commit(RESULTS.name):
            table = pa.Table.from_pylist(rows, schema=RESULTS.schema)
            write_deltalake(uri, table, mode="append")
            self._commits += 1
            if self._commits % _COMPACT_EVERY == 0:
                self._maintain(checked_time)

    def release(self) -> None:
        """Let another process validate this lake."""
        self._fence.release()
        open_fence.cache_clear()

    def _maintain(self, now: datetime) -> None:
        table = DeltaTable(table_uri(self._root, RESULTS))
        oldest = (now - timedelta(days=self._keep_days)).date()
        table.delete(f"day < '{oldest}'")
        table.optimize.compact()
        tidy(self._root, RESULTS)


def last_versions(connection: duckdb.DuckDBPyConnection, root: str) -> dict[str, int]:
    """Return the version up to which each suite has been checked."""
    uri = table_uri(root, RESULTS)
    if not DeltaTable.is_deltatable(uri):
        return {}
    rows = rows_of_version(connection, RESULTS, DeltaTable(uri))
    found = connection.sql(f"""
        SELECT suite, max(version) FROM ({rows}) WHERE version IS NOT NULL GROUP BY 1
    """).fetchall()  # noqa: S608 (our own names)
    return dict(found)
