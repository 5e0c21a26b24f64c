"""A spool as tests fill and empty it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from producer.batcher import Record
from producer.mark import Mark
from producer.spool import Spool


def spool(folder: Path, max_bytes: int = 10**9, memory_bytes: int = 10**6) -> Spool:
    return Spool(folder, max_bytes=max_bytes, memory_bytes=memory_bytes, now_ms=0.0)


def records(count: int, size: int = 10) -> list[Record]:
    return [Record(f"K{n % 3}", b"%0*d" % (size, n), n, float(n)) for n in range(count)]


@asynccontextmanager
async def committing(box: Spool) -> AsyncIterator[Spool]:
    task = asyncio.create_task(box.run())
    try:
        async with asyncio.timeout(10):
            yield box
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        box.close()


async def committed(
    box: Spool, *batches: list[Record], mark: Mark | None = None
) -> None:
    for batch in batches:
        box.append(batch, mark)
        await box.flush()


def waiting(box: Spool) -> list[tuple[str, bytes, int]]:
    return [
        (x.partition_key, x.data, x.messages) for _, x in box.outbox.take(10**6, 10**9)
    ]


def content(batch: list[Record]) -> list[tuple[str, bytes, int]]:
    return [(x.partition_key, x.data, x.messages) for x in batch]


def acknowledge(box: Spool, count: int) -> None:
    box.outbox.settle([entry for entry, _ in box.outbox.take(count, 10**9)], [])
