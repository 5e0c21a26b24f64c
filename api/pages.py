"""Pages of lists: an entity tag from the Delta version, and why a page is empty."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from pydantic import BaseModel

from api.requests import encode_cursor
from api.snapshots import Snapshot

_NOT_MODIFIED = 304
_HEADERS = {"Cache-Control": "no-cache"}
"""Kept by the browser, but asked for each time: 304 while the table stands still."""


async def tagged(
    request: Request,
    name: str,
    version: object,
    make: Callable[[], Awaitable[BaseModel]],
) -> Response:
    """Return what ``make`` makes, or 304 if the client has it already.

    Args:
        request: Its query makes the tag, as the version does.
        name: Of the table.
        version: Of the table; the same version answers a query the same for ever.
        make: Called if the client does not have it.
    """
    query = "&".join(f"{k}={v}" for k, v in sorted(request.query_params.multi_items()))
    digest = hashlib.blake2b(query.encode(), digest_size=6).hexdigest()
    tag = f'"{name}-{version}-{digest}"'
    headers = {"ETag": tag, **_HEADERS}
    if _has(request.headers.get("If-None-Match", ""), tag):
        return Response(status_code=_NOT_MODIFIED, headers=headers)
    body = (await make()).model_dump_json()
    return Response(body, headers=headers, media_type="application/json")


def page(
    table: str,
    snapshot: Snapshot | None,
    items: Sequence[BaseModel],
    key: Sequence[int | str] | None,
) -> dict[str, Any]:
    """Return the fields of one page.

    Args:
        table: The table's name.
        snapshot: The version of the items; None if there is no table.
        items: At most as many as were asked for.
        key: Of the last item, if more follow.
    """
    return {
        "items": items,
        "next_cursor": None if key is None else encode_cursor(key),
        "table_version": None if snapshot is None else str(snapshot.version),
        "newest_event_time": snapshot and snapshot.newest_event_time,
        "hint": None if items else why_empty(table, snapshot),
    }


def why_empty(table: str, snapshot: Snapshot | None) -> str:
    """Return why there is nothing to show, and what to do."""
    if snapshot is None:
        return f"There is no table {table} yet: `make run` starts what writes it"
    if not snapshot.files:
        return f"{table} has no rows yet: the market has not sent any"
    return f"No row of {table} matches: ask for other symbols or times"


def _has(if_none_match: str, tag: str) -> bool:
    tags = (given.strip().removeprefix("W/") for given in if_none_match.split(","))
    return any(given in (tag, "*") for given in tags)
