"""Listens to Alpaca's test stream for a moment: is there anything, and how much?"""

import asyncio
import time

import msgspec

from conf.settings import AlpacaSettings
from producer.backoff import Backoff
from producer.feed import Feed
from producer.protocol import decode
from producer.reactions import Cause
from producer.relay import Frame
from producer.subscription import Channels

TEST_SYMBOL = "FAKEPACA"
_FIRST_WITHIN_S = 20.0


class Sample(msgspec.Struct, frozen=True):
    """What came; ``first`` is None when nothing did."""

    first: str | None = None
    messages: int = 0
    seconds: float = 0.0
    """From the first message on."""

    @property
    def per_s(self) -> float:
        """Messages a second, after the first."""
        return (self.messages - 1) / self.seconds if self.seconds else 0.0


class Nobody:
    """A listener that needs no account of what was received."""

    def confirmed(self, epoch: str, channels: Channels) -> None:
        """Do nothing."""

    def lost(self, epoch: str, cause: Cause, last_frame_ns: int) -> None:
        """Do nothing."""


def fakepaca(settings: AlpacaSettings) -> AlpacaSettings:
    """Return the settings of the test stream: one symbol, open at all hours."""
    symbols = [TEST_SYMBOL]
    return settings.model_copy(
        update={
            "feed": "test", "trades": symbols, "quotes": symbols, "bars": symbols,
            "updated_bars": [], "daily_bars": [], "statuses": [], "lulds": [],
        }
    )  # fmt: skip


async def listen(
    settings: AlpacaSettings, *, seconds: float, first_within_s: float = _FIRST_WITHIN_S
) -> Sample:
    """Return what a feed sends.

    Args:
        settings: The feed.
        seconds: How long to count, from the first message on.
        first_within_s: How long to wait for that one.

    Raises:
        FixSetup: The server refused what only a person can change.
    """
    frames: asyncio.Queue[Frame] = asyncio.Queue()
    feed = Feed(settings, frames, Backoff(1.0, settings.reconnect_max_s), Nobody())
    feeding = asyncio.create_task(feed.run())
    counting = asyncio.create_task(
        _count(frames, settings, seconds=seconds, first_within_s=first_within_s)
    )
    try:
        await asyncio.wait({feeding, counting}, return_when=asyncio.FIRST_COMPLETED)
        if feeding.done():
            feeding.result()
        return await counting
    finally:
        counting.cancel()
        await feed.close()
        feeding.cancel()
        await asyncio.gather(feeding, counting, return_exceptions=True)


async def _count(
    frames: asyncio.Queue[Frame],
    settings: AlpacaSettings,
    *,
    seconds: float,
    first_within_s: float,
) -> Sample:
    first, count, began_s = None, 0, 0.0
    deadline_s = time.monotonic() + first_within_s
    while (left_s := deadline_s - time.monotonic()) > 0:
        try:
            frame = await asyncio.wait_for(frames.get(), left_s)
        except TimeoutError:
            break
        messages = decode(frame.payload, settings.encoding).messages
        if messages and first is None:
            began_s = time.monotonic()
            first, deadline_s = (
                bytes(messages[0].data or b"").decode(),
                began_s + seconds,
            )
        count += len(messages)
    return Sample(first, count, time.monotonic() - began_s if first else 0.0)
