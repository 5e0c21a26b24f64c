"""Speaks to a simulator that runs: what its command line needs."""

from http.client import HTTPConnection
from typing import get_args

import msgspec

from conf.errors import FixSetup
from producer.simulator.disturbances import Fault, Kind

TIMEOUT_S = 10.0
_LISTS = ("symbols", "channels")


def ask(port: int, method: str, path: str, body: object = None) -> tuple[bool, str]:
    """Return whether the simulator did what was asked, and its answer as text.

    Raises:
        FixSetup: Nobody answers.
    """
    connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    content = None if body is None else msgspec.json.encode(body)
    try:
        connection.request(method, path, content)
        answer = connection.getresponse()
        text = answer.read()
    except OSError as error:
        raise FixSetup(
            f"simulator on port {port}",
            f"does not answer: {error}",
            "Start it with python -m producer.simulator, or name its --port",
        ) from error
    finally:
        connection.close()
    return answer.status < 300, msgspec.json.format(text).decode()


def fault(kind: str, given: dict[str, str]) -> Fault:
    """Return the fault of a command line.

    Raises:
        FixSetup: It has no such kind, name or value.
    """
    values = {
        name: text.split(",") if name in _LISTS else text
        for name, text in given.items()
    }
    try:
        return msgspec.convert({"kind": kind, **values}, Fault, strict=False)
    except msgspec.ValidationError as wrong:
        raise FixSetup(
            f"fault {kind}",
            str(wrong),
            f"Kinds are {', '.join(get_args(Kind))}; names and values are on the page"
            " docs/how-to/use-the-simulator.md",
        ) from wrong


def kinds(names: list[str]) -> list[Kind]:
    """Return kinds of faults by name.

    Raises:
        FixSetup: There is no such kind.
    """
    return [fault(name, {"code": "500"}).kind for name in names]


def as_text(made: list[Fault]) -> str:
    """Return a script as JSON that people can read."""
    return msgspec.json.format(msgspec.json.encode(made)).decode()
