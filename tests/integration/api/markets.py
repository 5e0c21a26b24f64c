"""A small lake for the API's tests: real Delta tables, rows made to order."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
from deltalake import write_deltalake
from fastapi import FastAPI

from api.app import create_app
from api.snapshots import microseconds
from conf.lake.create import ensure_tables
from conf.lake.roots import table_uri
from conf.lake.tables import BARS, QUOTES, SYMBOL_STATS, TABLES, TRADES, TableContract
from conf.settings import ApiSettings, LakeSettings, Settings

OPEN = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_OF_TYPE: dict[pa.DataType, object] = {
    pa.string(): "x",
    pa.list_(pa.string()): ["@"],
    pa.int32(): 0,
    pa.int64(): 100,
    pa.float64(): 1.0,
    pa.bool_(): False,
    pa.timestamp("us", "UTC"): OPEN,
    pa.decimal128(38, 0): 0,
}


class Market:
    """Writes into the tables of one lake.

    Args:
        folder: Of everything that is written.
    """

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(
            var=folder,
            lake=LakeSettings(root=str(folder / "lake")),
            api=ApiSettings(
                dashboard=folder / "dashboard",
            ),
        )

    def create(self) -> None:
        """Make every table, empty."""
        ensure_tables(self.settings.lake.root, TABLES.values())

    def trade(self, *rows: dict[str, Any]) -> None:
        """Commit trades; ``at`` is in seconds from the opening."""
        self._write(TRADES, [_tick(TRADES, n, row) for n, row in enumerate(rows)])

    def quote(self, *rows: dict[str, Any]) -> None:
        """Commit quotes; ``at`` is in seconds from the opening."""
        self._write(QUOTES, [_tick(QUOTES, n, row) for n, row in enumerate(rows)])

    def bar(self, *rows: dict[str, Any]) -> None:
        """Commit minute bars; ``at`` is in seconds from the opening."""
        self._write(BARS, [_bar(row) for row in rows])

    def stats(self, *rows: dict[str, Any]) -> None:
        """Commit statistics; ``at`` is in seconds from the opening."""
        self._write(SYMBOL_STATS, [_stats(row) for row in rows])

    def _write(self, contract: TableContract, rows: Sequence[dict[str, Any]]) -> None:
        table = pa.Table.from_pylist(list(rows), schema=contract.schema)
        uri = table_uri(self.settings.lake.root, contract)
        write_deltalake(uri, table, mode="append")


class Api:
    """The application as a client sees it."""

    def __init__(self, app: FastAPI, http: httpx.AsyncClient) -> None:
        self.app, self._http = app, http

    async def get(self, path: str, **headers: str) -> httpx.Response:
        """Ask; underscores of header names become hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self._http.get(path, headers=named)

    async def request(self, method: str, path: str, **given: Any) -> httpx.Response:
        """Ask in another way than GET."""
        return await self._http.request(method, path, **given)

    async def look(self) -> None:
        """Let the API see what was committed, without waiting for its next look."""
        await self.app.state.lake.refresh()


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Api]:
    """Run the application; its errors are answers, as a server makes them."""
    app = create_app(settings)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http,
    ):
        yield Api(app, http)


def _row(contract: TableContract, **fields: Any) -> dict[str, Any]:
    sample = {column.name: _OF_TYPE.get(column.type) for column in contract.columns}
    return {**sample, "kind": "data", **fields}


def _at(row: dict[str, Any]) -> datetime:
    return OPEN + row.get("at", 0) * _SECOND


def _tick(contract: TableContract, number: int, row: dict[str, Any]) -> dict[str, Any]:
    moment = _at(row)
    own = {"trade_id": number, "quote_hash": number}
    names = own.keys() & set(contract.column_names)
    return _row(
        contract,
        event_time=moment,
        event_time_ns=microseconds(moment) * 1000,
        day=moment.date(),
        **{name: own[name] for name in names},
    ) | {"symbol": "AAPL", **_without_at(row)}


def _bar(row: dict[str, Any]) -> dict[str, Any]:
    start = _at(row)
    end = start + timedelta(minutes=1)
    return _row(
        BARS,
        window_start=start,
        window_end=end,
        known_time=end + _SECOND,
        day=start.date(),
        bar_length_s=60,
        source="alpaca",
    ) | {"symbol": "AAPL", **_without_at(row)}


def _stats(row: dict[str, Any]) -> dict[str, Any]:
    start = _at(row)
    return _row(
        SYMBOL_STATS,
        window_start=start,
        window_end=start + timedelta(minutes=1),
        window_length_s=60,
        day=start.date(),
        window_length="1m",
        hour=start.hour,
        price_buckets=[],
    ) | {"symbol": "AAPL", **_without_at(row)}


def _without_at(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "at"}
