"""Latest values: the newest row of each symbol, for reads that cannot wait for a query.

A store is a copy that can be thrown away: whoever writes the table fills it again. It
has one writer, the process that commits the table, and any number of readers.
``embedded`` is one SQLite file in the lake, ``dynamodb`` a table of AWS with the
partition key ``symbol`` and the sort key ``table_name`` (both strings).
"""

import sqlite3
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import boto3
import msgspec
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from conf.errors import FixSetup, RetryLater
from conf.lake.roots import absolute
from conf.settings import LatestSettings

Row = Mapping[str, Any]
_FILE = "_latest.sqlite"
_CREATE = """
CREATE TABLE IF NOT EXISTS latest (
    symbol TEXT, table_name TEXT, rank TEXT, row TEXT, PRIMARY KEY (symbol, table_name)
) WITHOUT ROWID"""
_PUT = """
INSERT INTO latest VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE
SET rank = excluded.rank, row = excluded.row WHERE excluded.rank >= latest.rank"""
_GET = "SELECT row FROM latest WHERE table_name = ? AND symbol = ?"
_PATIENCE = Config(connect_timeout=2, read_timeout=2, retries={"max_attempts": 2})
_STALE = "ConditionalCheckFailedException"


class Latest(msgspec.Struct, frozen=True):
    """The newest row of one symbol in one table.

    Attributes:
        symbol: Ticker.
        table_name: ``gold.symbol_stats``.
        rank: Orders the rows of a symbol: event time, then time of the change. A row of
            a lower rank never replaces one of a higher.
        row: The row as JSON: times as RFC 3339, decimals as text.
    """

    symbol: str
    table_name: str
    rank: str
    row: str


class LatestStore(Protocol):
    """Keeps the newest row per symbol and table."""

    def put(self, rows: Iterable[Latest]) -> None:
        """Store rows, each unless a newer one is there.

        Raises:
            RetryLater: The store cannot be reached; some may be stored.
        """
        ...

    def get(self, table_name: str, symbol: str) -> Row | None:
        """Return the newest row of a symbol, None if there is none.

        Raises:
            RetryLater: The store cannot be reached.
        """
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


def latest_of(table_name: str, row: Row, *times: datetime) -> Latest:
    """Return a row as the stores keep it.

    Args:
        table_name: The table it is from.
        row: Has a ``symbol``.
        *times: Rank it among the rows of its symbol, the first one first; UTC.
    """
    rank = " ".join(time.isoformat(timespec="microseconds") for time in times)
    text = msgspec.json.encode(row).decode()
    return Latest(row["symbol"], table_name, rank, text)


def open_latest(root: str, chosen: LatestSettings) -> LatestStore | None:
    """Return the store that was chosen for a lake, None if none was.

    Raises:
        FixSetup: The embedded store is a file, and the lake is on no local folder.
    """
    match chosen.store:
        case "embedded":
            if "://" in absolute(root):
                raise FixSetup("latest.store", "embedded needs a folder", "dynamodb")
            return EmbeddedLatest(Path(absolute(root)) / _FILE)
        case "dynamodb":
            return DynamoLatest(chosen)
        case _:
            return None


class EmbeddedLatest:
    """One SQLite file; readers in other processes are never blocked by the writer.

    Args:
        file: It and its folder come into being when the first row is stored.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._connection: sqlite3.Connection | None = None

    def put(self, rows: Iterable[Latest]) -> None:
        """See ``LatestStore.put``; all of them or none."""
        values = [msgspec.structs.astuple(row) for row in rows]
        try:
            with self._open() as connection:
                connection.executemany(_PUT, values)
        except sqlite3.OperationalError as error:
            raise RetryLater(f"{self._file}: {error}") from error

    def get(self, table_name: str, symbol: str) -> Row | None:
        """See ``LatestStore.get``."""
        if not self._file.exists():
            return None
        try:
            found = self._open().execute(_GET, (table_name, symbol)).fetchone()
        except sqlite3.OperationalError as error:
            raise RetryLater(f"{self._file}: {error}") from error
        return None if found is None else _decode(found[0])

    def close(self) -> None:
        """See ``LatestStore.close``."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self._file, check_same_thread=False)
            connection.execute("PRAGMA journal_mode = WAL")
            # What a power cut loses is written again: it is all in the lake.
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute(_CREATE)
            self._connection = connection
        return self._connection


class DynamoLatest:
    """A DynamoDB table that exists, see ``docs/how-to/read-latest-values.md``.

    Args:
        chosen: Its name, region and, for tests, its endpoint.
    """

    def __init__(self, chosen: LatestSettings) -> None:
        self._table_name = chosen.dynamodb_table
        self._client = boto3.client(
            "dynamodb",
            region_name=chosen.region,
            endpoint_url=chosen.endpoint_url,
            config=Config(
                connect_timeout=2, read_timeout=2, retries={"max_attempts": 2}
            ),
        )

    def put(self, rows: Iterable[Latest]) -> None:
        """See ``LatestStore.put``; one conditional write per row."""
        for row in rows:
            try:
                self._put(row)
            except (BotoCoreError, ClientError) as error:
                raise self._reaction(error) from error

    def get(self, table_name: str, symbol: str) -> Row | None:
        """See ``LatestStore.get``."""
        key = {"symbol": {"S": symbol}, "table_name": {"S": table_name}}
        try:
            answer = self._client.get_item(TableName=self._table_name, Key=key)
        except (BotoCoreError, ClientError) as error:
            raise self._reaction(error) from error
        item = answer.get("Item")
        return None if item is None else _decode(item["row"]["S"])

    def close(self) -> None:
        """See ``LatestStore.close``."""
        self._client.close()

    def _put(self, row: Latest) -> None:
        item = {
            name: {"S": value} for name, value in msgspec.structs.asdict(row).items()
        }
        try:
            self._client.put_item(
                TableName=self._table_name,
                Item=item,
                ConditionExpression="attribute_not_exists(symbol) OR #rank <= :rank",
                ExpressionAttributeNames={"#rank": "rank"},
                ExpressionAttributeValues={":rank": item["rank"]},
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != _STALE:
                raise

    def _reaction(self, error: Exception) -> Exception:
        """Return what to raise: a table that is missing will not come by waiting."""
        if isinstance(error, ClientError):
            code = error.response["Error"]["Code"]
            if code in ("ResourceNotFoundException", "AccessDeniedException"):
                return FixSetup("latest.dynamodb_table", str(error), "Create the table")
        return RetryLater(f"DynamoDB table {self._table_name}: {error}")


def _decode(text: str) -> Row:
    return msgspec.json.decode(text, type=dict[str, Any])
