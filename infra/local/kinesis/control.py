"""What no real Kinesis has: ``/health``, ``/metrics`` and ``/faults``."""

import os
from http import HTTPStatus

import msgspec

from infra.local.kinesis.emulator import Emulator
from infra.local.kinesis.faults import FaultRequest
from infra.local.kinesis.http_protocol import Request, Response
from infra.local.kinesis.streams import ShardCounters

_FAULTS = "/faults"
_request = msgspec.json.Decoder(FaultRequest, strict=False)


class Health(msgspec.Struct):
    """What the emulator holds; ``bytes`` counts payloads."""

    streams: int
    records: int
    bytes: int
    pid: int


def answer(emulator: Emulator, request: Request) -> Response:
    """Answer a request that is none of Kinesis's API."""
    match request.head.method, request.head.target:
        case "GET", "/health":
            return _json(_health(emulator))
        case "GET", "/metrics":
            return _json(_metrics(emulator))
        case "GET", path if path == _FAULTS:
            return _json(emulator.faults.running())
        case "POST", path if path == _FAULTS:
            return _start(emulator, request.body)
        case "DELETE", path if path.startswith(_FAULTS):
            return _stop(emulator, path.removeprefix(_FAULTS).strip("/"))
    return _json({"error": "there is nothing here"}, HTTPStatus.NOT_FOUND)


def _health(emulator: Emulator) -> Health:
    shards = [shard for stream in emulator.streams for shard in stream.shards]
    return Health(
        streams=len(list(emulator.streams)),
        records=sum(shard.records for shard in shards),
        bytes=sum(shard.payload_bytes for shard in shards),
        pid=os.getpid(),
    )


def _metrics(emulator: Emulator) -> dict[str, dict[str, ShardCounters]]:
    return {
        stream.name: {shard.shard_id: shard.counters for shard in stream.shards}
        for stream in emulator.streams
    }


def _start(emulator: Emulator, body: bytes) -> Response:
    try:
        request = _request.decode(body)
    except msgspec.MsgspecError as error:
        return _json({"error": str(error)}, HTTPStatus.BAD_REQUEST)
    return _json(emulator.faults.start(request), HTTPStatus.CREATED)


def _stop(emulator: Emulator, fault_id: str) -> Response:
    faults = emulator.faults
    if not fault_id:
        return _json([faults.stop(fault.id) for fault in faults.running()])
    stopped = faults.stop(int(fault_id)) if fault_id.isdecimal() else None
    if stopped is None:
        return _json({"error": f"no fault {fault_id}"}, HTTPStatus.NOT_FOUND)
    return _json(stopped)


def _json(content: object, status: HTTPStatus = HTTPStatus.OK) -> Response:
    headers = {"content-type": "application/json"}
    return Response(status, headers, msgspec.json.encode(content))
