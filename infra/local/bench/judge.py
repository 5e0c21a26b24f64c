"""Is what a contender stored what was sent, each message once?"""

# ruff: noqa: S608 - every name in this SQL is one of our own

from pathlib import Path

import duckdb
import msgspec
from deltalake import DeltaTable

from conf.lake.tables import TableContract
from infra.local import truth
from infra.local.bench.contender import TABLES, table_path
from infra.local.bench.recording import truth_file
from infra.local.comparison import TableReport, compare, count


class Verdict(msgspec.Struct, frozen=True):
    """Rows of trades and quotes: how many there must be, and what is wrong with them.

    ``lost`` are events without a row, ``duplicated`` further rows of one event,
    ``altered`` rows that equal no event.
    """

    expected: int
    lost: int
    duplicated: int
    altered: int

    @property
    def is_right(self) -> bool:
        """Whether the tables hold what was sent."""
        return self.lost + self.duplicated + self.altered == 0


def judge(recording: Path, own: Path, seconds: int) -> Verdict:
    """Compare every field of every row with what the first seconds sent.

    Args:
        recording: Its folder.
        own: The contender's folder.
        seconds: As many as it stored.
    """
    db = _expecting(recording, seconds)
    reports = [_report(db, contract, own) for contract in TABLES]
    return Verdict(
        expected=sum(report.expected for report in reports),
        lost=sum(report.lost for report in reports),
        duplicated=sum(report.duplicated for report in reports),
        altered=sum(report.altered for report in reports),
    )


def expected_rows(recording: Path, seconds: int) -> int:
    """Return how many trades and quotes the first seconds of a recording owe."""
    db = _expecting(recording, seconds)
    return sum(count(db, f"FROM expected_{_name(table)}") for table in TABLES)


def _expecting(recording: Path, seconds: int) -> duckdb.DuckDBPyConnection:
    db = duckdb.connect()
    db.execute("SET TimeZone = 'UTC'")
    truth.load_sent(db, recording, *map(truth_file, range(seconds)))
    truth.expect(db)
    return db


def _name(contract: TableContract) -> str:
    return contract.name.partition(".")[2]


def _report(
    db: duckdb.DuckDBPyConnection, contract: TableContract, own: Path
) -> TableReport:
    name = _name(contract)
    path = str(table_path(own, contract))
    db.register("dataset", DeltaTable(path).to_pyarrow_dataset())
    db.execute(
        f"""
        CREATE OR REPLACE TABLE stored_{name} AS
        SELECT *, epoch_us(event_time) AS event_time_us FROM dataset
        """
    )
    db.unregister("dataset")
    return compare(
        db,
        contract.name,
        expected=f"expected_{name}",
        stored=f"stored_{name}",
        columns=truth.columns(name),
    )
