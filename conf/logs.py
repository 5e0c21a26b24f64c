"""Structured logs: key=value on a terminal, one JSON object a line elsewhere."""

import logging
import sys
from contextlib import suppress
from typing import TextIO, cast

import structlog
from structlog.typing import EventDict, WrappedLogger

_SECRET_WORDS = ("secret", "password", "token", "api_key")


class LossyStderr:
    """Standard error on a disk that may be full: a lost line must not end a process."""

    def write(self, text: str) -> None:
        """Write what can be written."""
        with suppress(OSError):
            sys.stderr.write(text)

    def flush(self) -> None:
        """Flush what can be flushed."""
        with suppress(OSError):
            sys.stderr.flush()


def mask_secrets(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Replace the value of every key that names a secret by ``***``."""
    return {
        key: "***" if any(word in key.lower() for word in _SECRET_WORDS) else value
        for key, value in event.items()
    }


def configure(process: str, *, level: str = "INFO", json: bool | None = None) -> None:
    """Send this process's logs to stderr; call once, at an entry point.

    Args:
        process: Name shown on every line (``producer``, ``lake``).
        level: Lowest level shown: DEBUG, INFO, WARNING or ERROR.
        json: One JSON object a line; by default when stderr is no terminal.
    """
    as_json = not sys.stderr.isatty() if json is None else json
    renderer = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            mask_secrets,
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level]
        ),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", LossyStderr())),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(process=process)


def get_logger(room: str) -> structlog.typing.FilteringBoundLogger:
    """Return the logger of one module; ``room`` is its dotted name."""
    return cast(
        "structlog.typing.FilteringBoundLogger", structlog.get_logger(room=room)
    )
