"""The tables' contracts and what the tables hold."""

from typing import cast

from fastapi import APIRouter, Request
from fastapi.responses import Response

from api.lake import Lake
from api.pages import tagged
from api.problems import NOT_MODIFIED
from api.responses import TableColumn, Tables, TableSummary
from api.snapshots import Snapshot
from conf.lake.tables import TABLES, TableContract

router = APIRouter(prefix="/api/v1", tags=["tables"], responses=NOT_MODIFIED)


@router.get("/tables", response_model=Tables)
async def list_tables(request: Request) -> Response:
    """Every table: what one row is, its columns, its newest version and its size."""
    lake = cast("Lake", request.app.state.lake)

    async def tables() -> Tables:
        items = [_summary(t, lake.snapshots.get(t.name)) for t in TABLES.values()]
        return Tables(items=items)

    versions = ".".join(str(lake.version(name)) for name in TABLES)
    return await tagged(request, "tables", versions, tables)


def _summary(contract: TableContract, snapshot: Snapshot | None) -> TableSummary:
    return TableSummary(
        name=contract.name,
        layer=contract.layer,
        grain=contract.grain,
        key=list(contract.key),
        partition_by=list(contract.partition_by),
        writer=contract.writer,
        contract_version=contract.version,
        exists=snapshot is not None,
        version=snapshot and snapshot.version,
        rows=snapshot and snapshot.rows,
        files=snapshot and len(snapshot.files),
        size_bytes=snapshot and snapshot.size_bytes,
        newest_event_time=snapshot and snapshot.newest_event_time,
        newest_commit_time=snapshot and snapshot.commit_time,
        columns=[
            TableColumn(
                name=c.name, type=str(c.type), nullable=c.nullable, meaning=c.meaning
            )
            for c in contract.columns
        ],
    )
