"""Whatever a disk does, and whoever is killed when: nothing is lost untold."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from producer import segments
from producer.batcher import Record
from producer.gaps import Outage
from producer.mark import Mark
from producer.spool import Spool
from tests.unit.producer.spooling import spool

SHARE = st.floats(0, 1)
USE = st.one_of(
    st.tuples(st.just("receive"), st.integers(1, 3)),
    st.tuples(st.just("send"), st.integers(1, 4), st.integers(0, 15)),
    st.tuples(st.just("tell")),
    st.tuples(st.just("kill")),
)
WAY = st.sampled_from(["part", "all", "cut"])
DAMAGE = st.tuples(st.just("damage"), SHARE, SHARE, SHARE, WAY)
EXAMPLES = 50


class Life:
    """A spool over several processes, and what its records are known to be.

    Record ``n`` is received just before ``1_000 + 100 * n``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.received, self.sent = 0, set[int]()
        self.gaps: list[tuple[int, int]] = []
        self.told = 0
        self.task: asyncio.Task[None] | None = None
        self.box: Spool

    @property
    def now_ns(self) -> int:
        return 1_000 + 100 * self.received

    async def start(self) -> None:
        self.box = spool(self.folder, memory_bytes=0)
        mark = self.box.mark or Mark()
        self.gaps = [(x.from_ns, x.to_ns or 0) for x in mark.open_gaps]
        self.gaps.append((mark.received_until_ns, self.now_ns))
        self.tell()
        self.check()
        self.task = asyncio.create_task(self.box.run())

    async def kill(self) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
        self.box.close()

    async def do(self, name: str, *how: Any) -> None:
        if name == "kill":
            await self.kill()
            await self.start()
        else:
            getattr(self, name)(*how)
            await self.box.flush()

    def tell(self) -> None:
        for loss in self.box.take_losses():
            self.gaps.append((loss.from_ns, loss.to_ns or self.now_ns))
            self.told += 1
        self.box.append([], self.mark())

    def mark(self) -> Mark:
        gaps = [
            Outage(f"{n}", "spool_damaged", from_ns, {}, to_ns)
            for n, (from_ns, to_ns) in enumerate(self.gaps)
        ]
        return Mark("e1", self.now_ns, {}, gaps)

    def receive(self, count: int) -> None:
        numbers = range(self.received + 1, self.received + count + 1)
        self.received += count
        batch = [Record("K", b"%030d" % n, 1, 0.0) for n in numbers]
        self.box.append(batch, self.mark())

    def send(self, most: int, failing: int) -> None:
        batch = self.box.outbox.take(most, 10**9)
        failed = [x for n, (x, _) in enumerate(batch) if failing >> n & 1]
        self.sent |= {int(record.data) for x, record in batch if x not in failed}
        self.box.outbox.settle([x for x, _ in batch], failed)
        self.box.append([])

    def damage(self, which: float, begin: float, share: float, how: str) -> None:
        """Overwrite a part of a file, or all from there, or cut it off."""
        files = sorted(self.folder.glob("*.spool"))
        if not files:
            return
        path = files[round(which * (len(files) - 1))]
        content = path.read_bytes()
        start = round(begin * len(content))
        length = len(content) - start
        if how == "part":
            length = round(share * length)
        end = start + length
        spoilt = b"" if how == "cut" else b"\xff" * length
        with path.open("r+b") as file:  # the process that writes has it open, too
            file.write(content[:start] + spoilt + content[end:])
            file.truncate()

    def check(self) -> None:
        """Assert that each record is sent, waits, or is in a gap."""
        batch = self.box.outbox.take(10**6, 10**9)
        self.box.outbox.settle([x for x, _ in batch], [x for x, _ in batch])
        known = self.sent | {int(record.data) for _, record in batch}
        for number in set(range(1, self.received + 1)) - known:
            time_ns = 1_000 + 100 * number - 1
            assert any(low <= time_ns < high for low, high in self.gaps), number


def live(steps: list[tuple[Any, ...]], segment_bytes: int) -> Life:
    """Return a life after its steps and one more process."""

    async def run(folder: Path) -> Life:
        life = Life(folder)
        await life.start()
        for step in [*steps, ("kill",)]:
            await life.do(*step)
        await life.kill()
        return life

    small_files = patch.object(segments, "SEGMENT_BYTES", segment_bytes)
    with tempfile.TemporaryDirectory() as folder, small_files:
        return asyncio.run(run(Path(folder)))


@given(st.lists(st.one_of(USE, DAMAGE), max_size=40), st.integers(1, 2_000))
@settings(max_examples=EXAMPLES)
def test_every_record_is_sent_or_waits_or_is_in_a_gap(
    steps: list[tuple[Any, ...]], segment_bytes: int
):
    live(steps, segment_bytes)


@given(st.lists(USE, max_size=40), st.integers(1, 2_000))
@settings(max_examples=EXAMPLES)
def test_no_gap_is_told_of_a_disk_that_works(
    steps: list[tuple[Any, ...]], segment_bytes: int
):
    assert live(steps, segment_bytes).told == 0
