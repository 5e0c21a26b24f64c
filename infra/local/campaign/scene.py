"""Where a fault strikes: the running pipeline, and every door that it can be hit by."""

from __future__ import annotations

import http.client
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from conf.errors import FixSetup, RetryLater
from conf.kinesis import open_client
from conf.logs import get_logger
from conf.settings import Settings
from infra.local import process_table
from infra.local.services import LAKE
from infra.local.supervisor import Pipeline
from producer.batcher import Record
from producer.kinesis import MAX_ENTRIES, put_records

if TYPE_CHECKING:
    from types_boto3_kinesis import KinesisClient

PATIENCE_S = 120.0
_PUT_AGAIN_S = 0.2
_log = get_logger(__name__)


@dataclass
class Harm:
    """What a fault did.

    Attributes:
        hits: Calls that it answered, processes that it stopped.
    """

    hits: int = 0


@dataclass(frozen=True)
class Scene:
    """A live pipeline and the dice.

    Attributes:
        pipeline: Its processes.
        settings: Those of the run.
        dice: Chooses whatever a fault leaves open; the same seed chooses the same.
    """

    pipeline: Pipeline
    settings: Settings
    dice: random.Random

    def between(self, low: float, high: float) -> float:
        """Return seconds from a range, to the millisecond."""
        return round(self.dice.uniform(low, high), 3)

    def on_feed(self, kind: str, *, for_s: float = 0.0, **fields: object) -> int:
        """Order a fault of the simulator, for who is connected; return its number."""
        self.until(self.is_connected, "the producer is connected")
        fault = {"kind": kind, "for_s": for_s, **fields}
        (added,) = self._ask_feed("/sim/faults", fault)
        _log.info("simulator fault", **fault)
        return int(added["id"])

    def feed_hits(self, number: int) -> int:
        """Return how many connections or answers a fault of the simulator has hit."""
        (fault,) = (x for x in self._ask_feed("/sim/faults") if x["id"] == number)
        return int(fault["hits"])

    def is_connected(self) -> bool:
        """Tell whether anybody subscribes to the feed."""
        return bool(self._feed_status()["clients"])

    def missed(self) -> int:
        """Return how many messages of the market nobody was handed."""
        return int(self._feed_status()["missed"])

    @contextmanager
    def kinesis_fault(self, action: str, **parameters: object) -> Iterator[Harm]:
        """Hold a fault of the emulator; how often it struck is known when it is over.

        An emulator that is killed meanwhile forgets it.
        """
        port = self.settings.emulator.port
        texts = {name: str(value) for name, value in parameters.items()}
        fault = {"actionId": action, "parameters": texts}
        number = msgspec.json.decode(_request(port, "/faults", fault))["id"]
        _log.info("emulator fault", **fault)
        harm = Harm()
        try:
            yield harm
        finally:
            answer = _request(port, f"/faults/{number}", method="DELETE")
            harm.hits = msgspec.json.decode(answer).get("struck", 0)

    @contextmanager
    def frozen(self, name: str) -> Iterator[Harm]:
        """Stop a process and all that it started, and let it go on."""
        leader = self.pipeline.pid(name)
        try:
            yield Harm(_signal_session(leader, signal.SIGSTOP))
        finally:
            _signal_session(leader, signal.SIGCONT)

    def kill(self, name: str) -> int:
        """End one process at once; the supervisor starts it again.

        Raises:
            ProcessLookupError: It is not running.
        """
        pid = self.pipeline.pid(name)
        self.pipeline.kill(name, signal.SIGKILL)
        self.until(lambda: process_table.identity(pid) is None, f"{name} is dead")
        return 1

    def kill_pids(self, pids: list[int]) -> int:
        """End processes at once that the supervisor does not know."""
        killed = 0
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed += 1
        return killed

    def workers(self) -> list[int]:
        """Return the Python processes that Spark's driver started."""
        leader = self.pipeline.pid(LAKE)
        return [
            pid
            for pid in process_table.session(leader)
            if pid != leader
            and b"pyspark" in _command(pid)
            and b"java" not in _command(pid).split(b"\0")[0]
        ]

    def client(self) -> KinesisClient:
        """Return a client of the stream."""
        return open_client(self.settings.kinesis)

    def put(self, records: list[Record]) -> None:
        """Store records in the stream, however often they have to be sent."""
        put = put_records(self.client(), self.settings.kinesis)
        waiting = list(records)
        while waiting:
            batch, waiting = waiting[:MAX_ENTRIES], waiting[MAX_ENTRIES:]
            try:
                codes = put(batch)
            except RetryLater:
                codes = ["unanswered"] * len(batch)
            failed = [x for x, code in zip(batch, codes, strict=True) if code]
            waiting = failed + waiting
            if failed:
                time.sleep(_PUT_AGAIN_S)  # a shard takes 1 MiB a second

    def checkpoint(self, *parts: str) -> Path:
        """Return a path below the checkpoints."""
        return Path(self.settings.lake.checkpoints, *parts)

    def until(self, reached: Callable[[], object], what: str) -> None:
        """Wait for a condition.

        Raises:
            FixSetup: It was not met in two minutes, or the pipeline ended.
        """
        deadline = time.monotonic() + PATIENCE_S
        while not reached():
            if self.pipeline.wait(0.02) or time.monotonic() > deadline:
                raise FixSetup("campaign", f"waited in vain until {what}", "See logs")

    def _feed_status(self) -> dict[str, Any]:
        return dict(self._ask_feed("/sim/status"))

    def _ask_feed(self, path: str, body: object = None) -> Any:  # noqa: ANN401 (JSON)
        method = "GET" if body is None else "POST"
        port = self.settings.simulator.port
        return msgspec.json.decode(_request(port, path, body, method=method))


def _request(
    port: int, path: str, body: object = None, *, method: str = "POST"
) -> bytes:
    """Send one request to a control API; one that is just restarting is awaited.

    Raises:
        FixSetup: It refuses, or does not answer for long.
    """
    content = b"" if body is None else msgspec.json.encode(body)
    deadline = time.monotonic() + PATIENCE_S
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            with closing(connection):
                connection.request(method, path, content)
                answer = connection.getresponse()
                text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            if time.monotonic() > deadline:
                where = f"port {port}"
                raise FixSetup(where, str(error), "See the logs of the run") from error
            time.sleep(_PUT_AGAIN_S)
            continue
        is_gone = method == "DELETE" and answer.status == http.HTTPStatus.NOT_FOUND
        if answer.status >= http.HTTPStatus.BAD_REQUEST and not is_gone:
            raise FixSetup(f"port {port}{path}", text.decode(), "Correct the fault")
        return text


def _signal_session(leader: int, number: int) -> int:
    pids = process_table.session(leader)
    for pid in pids:
        os.kill(pid, number)
    return len(pids)


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""  # it has ended
