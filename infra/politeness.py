"""Leave the processor to what the stream waits for."""

import os
from contextlib import suppress
from pathlib import Path

_AUTOGROUP = Path("/proc/self/autogroup")


def be_polite(nice: int) -> None:
    """Let other processes go first when the cores are busy.

    Args:
        nice: 1 to 19, the politest.
    """
    os.nice(nice)
    # Where Linux groups processes by session, as desktops do, niceness counts within a
    # session only, and each process of the pipeline leads one: the group has its own.
    with suppress(OSError):
        _AUTOGROUP.write_text(str(nice))
