"""A query that is no Spark job: a thread that looks at tables at a steady pace."""

import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from conf.lake.roots import absolute
from conf.logs import get_logger
from conf.settings import LakeSettings

WRITER = "minutes"
"""Whose lease the queries commit under that have a process of their own."""

_STOP_S = 60.0
_log = get_logger(__name__)


class PeriodicQuery:
    """Calls ``look`` until it is stopped or fails, as a ``StreamingQuery`` would.

    Args:
        name: Of the query and its thread.
        look: Does what there is to do; true to be called with means: all of it, also
            what would rather wait.
        every_s: Pause between two calls.
    """

    def __init__(self, name: str, look: Callable[[bool], None], every_s: float) -> None:
        self.name = name
        self.recentProgress: list[Any] = []
        self.lastProgress = None
        self._look, self._every_s = look, every_s
        self._looking = threading.Lock()
        self._stop = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def isActive(self) -> bool:  # noqa: N802 (Spark's name)
        """Whether it goes on looking."""
        return self._thread.is_alive() and not self._stop.is_set()

    def exception(self) -> Exception | None:
        """Return what ended it, if it failed."""
        return self._error

    def processAllAvailable(self) -> None:  # noqa: N802
        """Do all that there is to do now.

        Raises:
            Exception: It failed, now or before; its own error.
        """
        if self._error:
            raise self._error
        with self._looking:
            self._look(True)

    def stop(self) -> None:
        """Return when it has stopped looking."""
        self._stop.set()
        self._thread.join(_STOP_S)

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            try:
                with self._looking:
                    self._look(False)
            except Exception as error:
                _log.exception("the query ends", query=self.name)
                self._error = error
                return


class Offsets:
    """How far a periodic query has read its tables: a file beside the checkpoints.

    Args:
        lake: Where the checkpoints are.
        query: Name of the query.
    """

    def __init__(self, lake: LakeSettings, query: str) -> None:
        self._file = Path(absolute(lake.checkpoints)) / query / "offsets.json"

    def read(self) -> dict[str, int | None]:
        """Return the version up to which each table was read; empty if none was."""
        if not self._file.exists():
            return {}
        stored: dict[str, int | None] = json.loads(self._file.read_text())
        return stored

    def write(self, versions: Mapping[str, int | None]) -> None:
        """Replace them at once."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._file.with_suffix(".new")
        fresh.write_text(json.dumps(versions))
        fresh.replace(self._file)
