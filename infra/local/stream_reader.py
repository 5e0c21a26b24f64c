"""A process that listens to the live stream, as a page would, and notes what it hears.

``python -m infra.local.stream_reader --api <file> --out <file>`` waits for the API's
state file, opens one stream, and appends one JSON line per event of the topics that
``shown`` compares. A stream that ends is opened again with ``Last-Event-ID``.
"""

import http.client
import signal
import threading
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import msgspec

NOTED = ("ticker", "stats")
_TOPICS = "ticker,stats,status"  # status comes each second: a read never waits long
_LOOK_EVERY_S = 0.5
_SILENT_AFTER_S = 15.0


class Heard(msgspec.Struct, frozen=True):
    """One event, and the wall clock when its last byte was read."""

    seen_ns: int
    topic: str
    data: msgspec.Raw


class _Api(msgspec.Struct):
    """What is read of ``api.json``."""

    url: str | None = None


class Listener:
    """Follows one API, whatever happens to it.

    Args:
        api_file: Its state file, which names its URL.
        out: Gets one line per event.
        stopped: Ends it, at the latest with the next event.
    """

    def __init__(self, api_file: Path, out: BinaryIO, stopped: threading.Event) -> None:
        self._api_file, self._out, self._stopped = api_file, out, stopped
        self._last_id = ""

    def run(self) -> None:
        """Listen until stopped."""
        while not self._stopped.wait(_LOOK_EVERY_S):
            if url := self._url():
                try:
                    self._listen(url)
                except (OSError, http.client.HTTPException):
                    continue  # it starts, or is being killed: it comes back

    def _url(self) -> str | None:
        try:
            return msgspec.json.decode(self._api_file.read_bytes(), type=_Api).url
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def _listen(self, url: str) -> None:
        host = urlsplit(url).netloc
        connection = http.client.HTTPConnection(host, timeout=_SILENT_AFTER_S)
        try:
            headers = {"Last-Event-ID": self._last_id} if self._last_id else {}
            connection.request("GET", f"/api/v1/stream?topics={_TOPICS}", None, headers)
            answer = connection.getresponse()
            fields: dict[str, str] = {}
            while not self._stopped.is_set() and (line := answer.readline()):
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name:
                    fields[name] = value
                    continue
                self._note(fields)
                fields = {}
        finally:
            connection.close()

    def _note(self, fields: dict[str, str]) -> None:
        self._last_id = fields.get("id", self._last_id)
        if fields.get("event") in NOTED:
            data = msgspec.Raw(fields["data"].encode())
            heard = Heard(time.time_ns(), fields["event"], data)
            self._out.write(msgspec.json.encode(heard) + b"\n")
            self._out.flush()


def read_heard(out: Path) -> Iterator[Heard]:
    """Yield what a listener noted, in the order of time."""
    with out.open("rb") as lines:
        for line in lines:
            yield msgspec.json.decode(line, type=Heard)


def main() -> None:
    """Listen until SIGTERM."""
    parser = ArgumentParser(description=main.__doc__)
    parser.add_argument("--api", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with given.out.open("ab") as out:
        Listener(given.api, out, stopped).run()


if __name__ == "__main__":
    main()
