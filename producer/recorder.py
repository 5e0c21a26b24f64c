"""Saves a live session so that the simulator can replay it."""

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from conf.settings import AlpacaSettings
from producer.backoff import Backoff
from producer.feed import Feed
from producer.protocol import decode
from producer.reactions import Cause
from producer.recording import Recording
from producer.relay import Frame
from producer.subscription import Channels, check_plan

_FILE_MESSAGES, _FILE_S = 200_000, 600.0
_LOOK_EVERY_S = 0.5
_CLOSE_DEADLINE_S = 5.0
_FRAMES = 4_096


class Interruption(msgspec.Struct):
    """A time in which nothing came, wall clock; ``end`` is None if it lasted."""

    start: datetime
    cause: Cause
    end: datetime | None = None


class Session(msgspec.Struct, frozen=True):
    """What was recorded.

    ``left_out`` counts messages that no replay can place; see ``recording``.
    """

    messages: int
    left_out: int
    files: list[str]
    seconds: float
    interruptions: list[Interruption]

    @property
    def is_whole(self) -> bool:
        """Whether messages came, all the time."""
        return self.messages > 0 and not self.interruptions


class Recorder:
    """Reads one feed into files until told to stop.

    Args:
        settings: What to subscribe.
        folder: Where the files go; it must hold no recording.

    Raises:
        FixSetup: The plan does not allow it, or the folder cannot take it.
    """

    def __init__(self, settings: AlpacaSettings, folder: Path) -> None:
        check_plan(settings)
        self._encoding = settings.encoding
        self._frames: asyncio.Queue[Frame] = asyncio.Queue(_FRAMES)
        reconnect = Backoff(1.0, settings.reconnect_max_s)
        self._feed = Feed(settings, self._frames, reconnect, self)
        self._recording = Recording(folder)
        self._interruptions: list[Interruption] = []
        self._began_s = self._written_s = time.monotonic()

    @property
    def messages(self) -> int:
        """How many messages were kept so far."""
        return self._recording.messages

    async def run(self, stop: asyncio.Event) -> Session:
        """Record until ``stop`` is set.

        Raises:
            FixSetup: The server refused, or the disk is full; what could be written
                is there.
        """
        feeding = asyncio.create_task(self._feed.run())
        keeping = asyncio.create_task(self._keep())
        writing = asyncio.create_task(self._write_now_and_then())
        stopping = asyncio.create_task(stop.wait())
        tasks = {feeding, keeping, writing, stopping}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            await self._feed.close()
            await asyncio.wait({feeding}, timeout=_CLOSE_DEADLINE_S)
            if not keeping.done():
                await self._frames.join()
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._recording.write()
        return self._session()

    def confirmed(self, epoch: str, channels: Channels) -> None:
        """Take note: messages come again."""
        if self._interruptions and self._interruptions[-1].end is None:
            self._interruptions[-1].end = datetime.now(UTC)

    def lost(self, epoch: str, cause: Cause, last_frame_ns: int) -> None:
        """Take note: nothing came after the last frame."""
        start = datetime.fromtimestamp(last_frame_ns / 1e9, UTC)
        self._interruptions.append(Interruption(start, cause))

    async def _keep(self) -> None:
        while True:
            frame = await self._frames.get()
            decoded = decode(frame.payload, self._encoding)
            for message in decoded.messages:
                self._recording.add(bytes(message.data or b""))
            for control in decoded.controls:
                self._feed.on_control(frame.epoch, control)
            self._frames.task_done()

    async def _write_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            is_due = time.monotonic() - self._written_s >= _FILE_S
            if is_due or self._recording.waiting >= _FILE_MESSAGES:
                await asyncio.to_thread(self._recording.write)
                self._written_s = time.monotonic()

    def _session(self) -> Session:
        recording = self._recording
        return Session(
            messages=recording.messages,
            left_out=recording.left_out,
            files=[path.name for path in recording.files],
            seconds=round(time.monotonic() - self._began_s, 3),
            interruptions=self._interruptions,
        )
