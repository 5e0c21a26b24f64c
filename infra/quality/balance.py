"""Bronze against silver: every message is a row, a reject or a copy of a row.

A message is accounted for by its place (shard, record, line) in a silver table or in
``silver.rejects``. What is in neither must be a copy: then a row of its key is there,
from another place. Anything else is lost.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
from deltalake import DeltaTable

from conf.lake.files import rows_of_files
from conf.lake.roots import table_uri
from conf.lake.tables import RECORDS, REJECTS, TABLES, TableContract
from infra.quality.owed import Key, keys_of, positions
from infra.quality.slices import Change, change_since, version_before

PLACE = ("shard_id", "sequence_number")
_SETTLED_S = 120.0
"""Silver has most rows of a bronze commit so soon; the others are found by key."""

Place = tuple[str, str]


@dataclass(frozen=True)
class Balance:
    """What became of the messages of some bronze records.

    Attributes:
        records: One row per record with messages: its place, ``messages`` and how
            many are ``accounted``.
        messages: In all.
        placed: Found by their place in silver or among the rejects.
        copies: Found by their key only.
    """

    records: pd.DataFrame
    messages: int
    placed: int
    copies: int


def balance(
    connection: duckdb.DuckDBPyConnection,
    root: str,
    bronze: Change,
    newest: dict[str, int],
) -> Balance:
    """Account for every message of bronze records that silver has read.

    Args:
        connection: Where the SQL runs.
        root: The lake, a local folder.
        bronze: The records; it has files.
        newest: A recent version of each silver table, from which to look back.
    """
    payloads = _payloads(connection, bronze)
    owed = {place: set(positions(data)) for place, data in payloads.items()}
    messages = {place: len(lines) for place, lines in owed.items() if lines}
    for place, position in _placed(connection, root, bronze, newest):
        if place in owed:
            owed[place].discard(position)
    unplaced = sum(map(len, owed.values()))
    missing = {place: sorted(lines) for place, lines in owed.items() if lines}
    for place, position in _by_key(connection, root, payloads, missing):
        owed[place].discard(position)
    rows = [(*at, count, count - len(owed[at])) for at, count in messages.items()]
    records = pd.DataFrame(rows, columns=[*PLACE, "messages", "accounted"])
    total, lost = sum(messages.values()), sum(map(len, owed.values()))
    return Balance(records, total, total - unplaced, unplaced - lost)


def _payloads(
    connection: duckdb.DuckDBPyConnection, bronze: Change
) -> dict[Place, bytes]:
    source = rows_of_files(RECORDS, bronze.files)
    rows = connection.sql(
        f"SELECT {', '.join(PLACE)}, data FROM ({source})"  # noqa: S608 (our names)
    ).fetchall()
    return {(shard, number): data for shard, number, data in rows}


def _placed(
    connection: duckdb.DuckDBPyConnection,
    root: str,
    bronze: Change,
    newest: dict[str, int],
) -> Iterator[tuple[Place, int]]:
    """Yield the place of each row that silver wrote since, maybe of others too."""
    for contract in _accounting():
        seen = newest.get(contract.name, -1)
        after = version_before(root, contract, bronze.begun_s, seen)
        # A reject has no key by which it could be found later.
        until_s = None if contract is REJECTS else bronze.time_s + _SETTLED_S
        change = change_since(root, contract, after, until_s=until_s)
        if change and change.files:
            yield from _places(connection, change)


def _places(
    connection: duckdb.DuckDBPyConnection, change: Change
) -> Iterator[tuple[Place, int]]:
    names = ", ".join(PLACE)
    rows = connection.sql(f"""
        SELECT {names}, list(DISTINCT position)
        FROM ({rows_of_files(change.contract, change.files)}) GROUP BY {names}
    """).fetchall()  # noqa: S608 (our names)
    for shard, number, found in rows:
        for position in found:
            yield (shard, number), position


def _accounting() -> Iterable[TableContract]:
    """Return the silver tables whose rows say where they come from."""
    places = {*PLACE, "position"}
    return [
        contract
        for contract in TABLES.values()
        if contract.layer == "silver" and places <= set(contract.column_names)
    ]


def _by_key(
    connection: duckdb.DuckDBPyConnection,
    root: str,
    payloads: dict[Place, bytes],
    missing: dict[Place, list[int]],
) -> Iterator[tuple[Place, int]]:
    """Yield the place of each message whose key silver has."""
    wanted = defaultdict[str, list[tuple[Place, int, Key]]](list)
    for place, lines in missing.items():
        for position, key in keys_of(payloads[place], lines):
            wanted[key[0]].append((place, position, key))
    for table, messages in wanted.items():
        keys = [key for _, _, (_, key) in messages]
        for index in _found(connection, root, TABLES[table], keys):
            yield messages[index][0], messages[index][1]


def _found(
    connection: duckdb.DuckDBPyConnection,
    root: str,
    contract: TableContract,
    keys: list[dict[str, object]],
) -> list[int]:
    """Return the indices of the keys that the table has."""
    columns = list(keys[0])
    files = _files(root, contract, keys)
    if not files:
        return []
    schema = pa.schema([contract.schema.field(name) for name in columns])
    asked = pa.Table.from_pylist(keys, schema=schema)
    asked = asked.append_column("number", pa.array(range(len(keys))))
    connection.register("asked", asked)
    found = connection.sql(f"""
        SELECT number FROM asked SEMI JOIN ({rows_of_files(contract, files)})
        USING ({", ".join(columns)})
    """).fetchall()  # noqa: S608 (our names)
    return [number for (number,) in found]


def _files(
    root: str, contract: TableContract, keys: list[dict[str, object]]
) -> list[str]:
    """Return the files of the newest version that may hold one of the keys."""
    table = DeltaTable(table_uri(root, contract))
    column = next((c for c in ("event_time_ns", "window_start") if c in keys[0]), None)
    if column is None:
        return table.file_uris()
    actions = pa.table(table.get_add_actions(flatten=True)).to_pydict()
    unknown = [None] * len(actions["path"])
    lows, highs = (actions.get(f"{side}.{column}", unknown) for side in ("min", "max"))
    times: list[Any] = sorted(key[column] for key in keys)
    return [
        f"{table_uri(root, contract)}/{path}"
        for path, low, high in zip(actions["path"], lows, highs, strict=True)
        if low is None or _any_between(times, low, high)
    ]


def _any_between(times: list[Any], low: Any, high: Any) -> bool:  # noqa: ANN401
    index = bisect_left(times, low)
    return index < len(times) and times[index] <= high
