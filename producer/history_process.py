"""The process that asks Alpaca's history, and what its answers mean."""

import asyncio
import os
import sys
from http import HTTPStatus
from typing import Any

import msgspec

from conf.errors import RetryLater
from conf.settings import ROOT, Settings, environment

_MAX_ANSWER_BYTES = 256 * 1024 * 1024
_ANSWER_WITHIN_S = 60.0
_WINDOW_S = 60.0  # calls are counted by the minute
_NEVER_WORKS = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    }
)


class Throttled(RetryLater):
    """Too many calls; ``wait_s`` until there is room again."""

    def __init__(self, what: str, wait_s: float) -> None:
        self.wait_s = wait_s
        super().__init__(what)


class NoHistory(Exception):
    """Asking again will not help."""


class Page(msgspec.Struct, frozen=True):
    """Some rows by symbol, and the token of the next page."""

    rows: dict[str, list[dict[str, Any]]]
    next_token: str | None = None


class Answer(msgspec.Struct, frozen=True):
    """What the process answers; see ``history_client``."""

    status: int = 0
    headers: dict[str, str] = {}
    text: str = ""
    body: msgspec.Raw = msgspec.Raw(b"null")
    sessions: list[tuple[int, int]] = []


class Budget(msgspec.Struct, frozen=True):
    """Calls per minute that are left, as the last answer told."""

    limit: int
    remaining: int
    reset_s: float
    """Epoch seconds at which all are there again."""


class HistoryProcess:
    """Starts the process when it is needed, and ends it when told.

    Args:
        settings: Handed over by the environment.
    """

    def __init__(self, settings: Settings) -> None:
        self._environment = {**os.environ, **environment(settings)}
        self._process: asyncio.subprocess.Process | None = None
        self.budget: Budget | None = None
        self.throttled = 0

    async def page(self, resource: str, query: dict[str, str], now_s: float) -> Page:
        """Return one page of a resource (``trades``, ``quotes``, ``bars``).

        Args:
            resource: Last part of the path.
            query: As Alpaca documents it.
            now_s: Epoch seconds.

        Raises:
            RetryLater: Nobody answers, or the server is in trouble.
            Throttled: No call is left in this minute.
            NoHistory: The request will never be answered.
        """
        if self.budget and self.budget.remaining <= 0 and self.budget.reset_s > now_s:
            raise Throttled("no REST call is left", self.budget.reset_s - now_s)
        answer = await self._ask({"path": f"/stocks/{resource}", "query": query})
        self.budget = _budget(answer.headers) or self.budget
        self._check(answer, now_s)
        return _page(resource, answer.body)

    async def orders(self, query: dict[str, str], now_s: float) -> list[dict[str, Any]]:
        """Return one page of the account's orders.

        Args:
            query: As Alpaca documents it.
            now_s: Epoch seconds.

        Raises:
            RetryLater: Nobody answers, or the server is in trouble.
            Throttled: No call is left in this minute.
            NoHistory: The request will never be answered.
        """
        # its calls are not counted with those of market data
        answer = await self._ask({"path": "/orders", "query": query, "api": "trading"})
        self._check(answer, now_s)
        return msgspec.json.decode(answer.body, type=list[dict[str, Any]])

    async def sessions(self, first_day: str, last_day: str) -> list[tuple[int, int]]:
        """Return the sessions between two days, half-open, epoch ns.

        Raises:
            RetryLater: The process died.
        """
        return (await self._ask({"sessions": [first_day, last_day]})).sessions

    async def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()

    def _check(self, answer: Answer, now_s: float) -> None:
        what = f"REST answered {answer.status} {answer.text}"
        if answer.status == HTTPStatus.OK:
            return
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            self.throttled += 1
            is_spent = self.budget is not None and self.budget.remaining <= 0
            reset_s = self.budget.reset_s if self.budget and is_spent else now_s
            raise Throttled(what, min(_WINDOW_S, max(1.0, reset_s - now_s)))
        if answer.status in _NEVER_WORKS:
            raise NoHistory(what)
        raise RetryLater(what)

    async def _ask(self, request: dict[str, object]) -> Answer:
        if self._process is None or self._process.returncode is not None:
            self._process = await self._start()
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("the process was started without pipes")
        try:
            stdin.write(msgspec.json.encode(request) + b"\n")
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                await stdin.drain()
                line = await stdout.readline()
            return msgspec.json.decode(line, type=Answer)
        except (OSError, TimeoutError, msgspec.DecodeError) as error:
            await self.close()
            reason = str(error) or type(error).__name__
            raise RetryLater(f"the history process ended: {reason}") from error
        except asyncio.CancelledError:
            await (
                self.close()
            )  # an answer that nobody waits for would be the next one's
            raise

    async def _start(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "producer.history_client",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=self._environment,
            cwd=ROOT,
            limit=_MAX_ANSWER_BYTES,
            start_new_session=True,  # Ctrl-C is for the producer, which drains
        )


def _page(resource: str, body: msgspec.Raw) -> Page:
    content = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    rows = content.get(resource) or msgspec.Raw(b"null")
    token = content.get("next_page_token") or msgspec.Raw(b"null")
    by_symbol = dict[str, list[dict[str, Any]]]
    return Page(
        msgspec.json.decode(rows, type=by_symbol | None) or {},
        msgspec.json.decode(token, type=str | None),
    )


def _budget(headers: dict[str, str]) -> Budget | None:
    try:
        return Budget(
            int(headers["x-ratelimit-limit"]),
            int(headers["x-ratelimit-remaining"]),
            float(headers["x-ratelimit-reset"]),
        )
    except (KeyError, ValueError):
        return None
