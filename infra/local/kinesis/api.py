"""From an HTTP request to an operation and back: AWS's JSON 1.1 protocol."""

import uuid
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, NamedTuple, get_type_hints

import msgspec

from conf import logs
from infra.local.kinesis import (
    control,
    get_operations,
    listing_operations,
    messages,
    put_operations,
    reshard_operations,
    stream_operations,
)
from infra.local.kinesis.emulator import Emulator
from infra.local.kinesis.errors import (
    AnswerLost,
    ApiError,
    internal_failure,
    invalid_request,
)
from infra.local.kinesis.http_protocol import Request, Response
from infra.local.kinesis.record_messages import GetRecords

SERVICE = "Kinesis_20131202"

_log = logs.get_logger("infra.local.kinesis.api")


Run = Callable[[Emulator, Any], Awaitable[messages.Response | None]]


class Operation(NamedTuple):
    """How to read a request, and what answers it."""

    decoder: msgspec.json.Decoder[messages.Request]
    run: Run


def _operation(run: Run) -> Operation:
    return Operation(msgspec.json.Decoder(get_type_hints(run)["request"]), run)


OPERATIONS = {
    "CreateStream": _operation(stream_operations.create_stream),
    "DeleteStream": _operation(stream_operations.delete_stream),
    "IncreaseStreamRetentionPeriod": _operation(stream_operations.increase_retention),
    "DecreaseStreamRetentionPeriod": _operation(stream_operations.decrease_retention),
    "SplitShard": _operation(reshard_operations.split_shard),
    "MergeShards": _operation(reshard_operations.merge_shards),
    "UpdateShardCount": _operation(reshard_operations.update_shard_count),
    "ListStreams": _operation(listing_operations.list_streams),
    "ListShards": _operation(listing_operations.list_shards),
    "DescribeStream": _operation(listing_operations.describe_stream),
    "DescribeStreamSummary": _operation(listing_operations.describe_stream_summary),
    "PutRecord": _operation(put_operations.put_record),
    "PutRecords": _operation(put_operations.put_records),
    "GetShardIterator": _operation(get_operations.get_shard_iterator),
    "GetRecords": _operation(get_operations.get_records),
}


class Api:
    """Answers every request, with an error if need be."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    async def answer(self, request: Request) -> Response | None:
        """Perform the operation the request names; None resets the connection."""
        if request.head.target != "/":
            return control.answer(self._emulator, request)
        try:
            result = await self._perform(request)
        except AnswerLost:
            return None
        except ApiError as error:
            return _refusal(error)
        except Exception:
            # one broken request, or a full disk, must not end everyone's stream
            _log.exception("request_failed", target=_target(request))
            return _refusal(internal_failure())
        return _response(
            HTTPStatus.OK, b"" if result is None else msgspec.json.encode(result)
        )

    async def _perform(self, request: Request) -> messages.Response | None:
        service, _, name = _target(request).partition(".")
        operation = OPERATIONS.get(name)
        if service != SERVICE or operation is None:
            raise ApiError(
                "UnknownOperationException",
                f"{name!r} is not emulated; there are {', '.join(OPERATIONS)}.",
            )
        message = _decode(operation, request)
        if self._emulator.faults:
            injected = self._emulator.faults.error(name, self._stream_name(message))
            if injected:
                raise injected
        return await operation.run(self._emulator, message)

    def _stream_name(self, message: messages.Request) -> str | None:
        """Return the name of the stream that a request is about, if it is known."""
        if isinstance(message, messages.OfStream):
            arn = message.stream_arn or ""
            return message.stream_name or arn.rpartition("/")[2]
        if isinstance(message, GetRecords):
            return get_operations.stream_name(self._emulator, message)
        return None


def _target(request: Request) -> str:
    return request.head.headers.get("x-amz-target", "")


def _decode(operation: Operation, request: Request) -> messages.Request:
    content_type = request.head.headers.get("content-type", "")
    if "cbor" in content_type:
        raise ApiError(
            "SerializationException",
            f"{content_type} is not emulated; set AWS_CBOR_DISABLE=true in the client.",
        )
    try:
        return operation.decoder.decode(request.body)
    except msgspec.ValidationError as error:
        raise invalid_request(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ApiError("SerializationException", str(error)) from error


def _refusal(error: ApiError) -> Response:
    body = {"__type": error.code, "message": error.message}
    return _response(error.status, msgspec.json.encode(body))


def _response(status: HTTPStatus, body: bytes) -> Response:
    headers = {
        "content-type": "application/x-amz-json-1.1",
        "x-amzn-requestid": str(uuid.uuid4()),
    }
    return Response(status, headers, body)
