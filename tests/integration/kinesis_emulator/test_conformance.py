"""Every constraint of botocore's model of Kinesis, on both of its sides.

The cases are made from the model of the installed botocore: for each member of each
emulated operation its minimum, maximum, pattern, enumeration and whether it must be
there. A client that does not validate sends them.
"""

import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError
from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape
from botocore.session import get_session
from types_boto3_kinesis import KinesisClient

from infra.local.kinesis.api import OPERATIONS
from tests.integration.kinesis_emulator.running import (
    FIRST_SHARD,
    STREAM,
    EmulatorProcess,
    code_of,
    error_code,
)

MODEL = get_session().get_service_model("kinesis")
ARN = f"arn:aws:kinesis:us-east-1:000000000000:stream/{STREAM}"
ENTRY = {"Data": b"x", "PartitionKey": "k", "ExplicitHashKey": "0"}
OF_STREAM = {"StreamName": STREAM}
PLACE = {"StartingSequenceNumber": "0", "Timestamp": 0}
REQUESTS: dict[str, dict[str, Any]] = {
    "CreateStream": {
        "StreamName": "new",
        "ShardCount": 1,
        "StreamModeDetails": {"StreamMode": "PROVISIONED"},
        "MaxRecordSizeInKiB": 1_024,
        "Tags": {"k": "v"},
    },
    "DeleteStream": {**OF_STREAM, "EnforceConsumerDeletion": False},
    "IncreaseStreamRetentionPeriod": {**OF_STREAM, "RetentionPeriodHours": 48},
    "DecreaseStreamRetentionPeriod": {**OF_STREAM, "RetentionPeriodHours": 24},
    "SplitShard": {
        **OF_STREAM,
        "ShardToSplit": FIRST_SHARD,
        "NewStartingHashKey": "9999",
    },
    "MergeShards": {
        **OF_STREAM,
        "ShardToMerge": FIRST_SHARD,
        "AdjacentShardToMerge": "shardId-000000000001",
    },
    "UpdateShardCount": {
        **OF_STREAM,
        "TargetShardCount": 2,
        "ScalingType": "UNIFORM_SCALING",
    },
    "ListStreams": {"Limit": 1, "ExclusiveStartStreamName": "a", "NextToken": "a"},
    "ListShards": {
        **OF_STREAM,
        "NextToken": "a",
        "ExclusiveStartShardId": FIRST_SHARD,
        "MaxResults": 1,
        "ShardFilter": {
            "Type": "AFTER_SHARD_ID",
            "ShardId": FIRST_SHARD,
            "Timestamp": 0,
        },
    },
    "DescribeStream": {**OF_STREAM, "Limit": 1, "ExclusiveStartShardId": FIRST_SHARD},
    "DescribeStreamSummary": OF_STREAM,
    "PutRecord": {**OF_STREAM, **ENTRY, "SequenceNumberForOrdering": "0"},
    "PutRecords": {**OF_STREAM, "Records": [ENTRY]},
    "GetShardIterator": {
        **OF_STREAM,
        "ShardId": FIRST_SHARD,
        "ShardIteratorType": "TRIM_HORIZON",
        **PLACE,
    },
    "GetRecords": {"ShardIterator": "a", "Limit": 1},
}
"""A request for each emulated operation, with every member that is emulated."""

NOT_EMULATED = {
    "StreamId",
    "DryRun",
    "StreamCreationTimestamp",
    "WarmThroughputMiBps",
    "RecordDistributionStrategy",
}


class Case(NamedTuple):
    """One value at one place of one operation's request."""

    operation: str
    path: tuple[str | int, ...]
    value: Any
    what: str

    def __str__(self) -> str:
        return f"{self.operation}.{'.'.join(map(str, self.path))}: {self.what}"

    def request(self) -> dict[str, Any]:
        request = copy.deepcopy(REQUESTS[self.operation])
        if self.path[0] == "StreamARN":
            request.pop("StreamName", None)
        *parents, last = self.path
        at: Any = request
        for part in parents:
            at = at[part]
        if self.value is None:
            del at[last]
        else:
            at[last] = self.value
        return request


def members(
    shape: Shape, path: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], Shape, bool]]:
    """Yield (path, shape, must be there) of every emulated member below a shape."""
    if isinstance(shape, StructureShape):
        for name, member in shape.members.items():
            if name not in NOT_EMULATED:
                yield (*path, name), member, name in shape.required_members
                yield from members(member, (*path, name))
    elif isinstance(shape, ListShape):
        yield from members(shape.member, (*path, 0))


def is_alone(case: Case) -> bool:
    """Tell whether a value can be had without breaking another constraint."""
    is_short_arn = case.path[-1] == "StreamARN" and "min" in case.what
    # data and partition key together have at most what the model allows for the data
    is_full = case.path[-1] == "Data" and "max" in case.what
    return not (is_short_arn or is_full)


def of_length(shape: Shape, length: int) -> Any:
    """Return a value of this length that keeps the shape's other constraints."""
    if isinstance(shape, ListShape):
        return [ENTRY] * length
    if isinstance(shape, MapShape):
        return {f"k{number}": "v" for number in range(length)}
    if shape.type_name == "blob":
        return b"x" * length
    if shape.name == "StreamARN" and length > len(ARN):
        return ARN + "x" * (length - len(ARN))
    return "a" * length


def values(shape: Shape, what: str) -> Any:
    """Return the value at an edge of a constraint, or beyond it."""
    edge, side = what.split(", ")
    bound = shape.metadata[edge]
    beyond = {"min": -1, "max": 1}[edge] if side == "broken" else 0
    if shape.type_name in ("integer", "long"):
        return bound + beyond
    return of_length(shape, bound + beyond)


def bounds(side: str) -> Iterator[Case]:
    for operation in OPERATIONS:
        shape = MODEL.operation_model(operation).input_shape
        assert shape is not None
        for path, member, _ in members(shape):
            for edge in ("min", "max"):
                is_bounded = edge in member.metadata
                is_impossible = side == "broken" and member.metadata.get(edge) == 0
                if is_bounded and not is_impossible:
                    what = f"{edge}, {side}"
                    yield Case(operation, path, values(member, what), what)


def forms() -> Iterator[Case]:
    for operation in OPERATIONS:
        shape = MODEL.operation_model(operation).input_shape
        assert shape is not None
        for path, member, is_required in members(shape):
            if is_required:
                yield Case(operation, path, None, "missing")
            if isinstance(member, StringShape) and member.enum:
                yield Case(operation, path, "OTHER", "no member of the enumeration")
            if "pattern" in member.metadata:
                yield Case(operation, path, "a b/ü", "against the pattern")
                yield Case(operation, path, "0\n", "against the pattern, by a newline")


BROKEN = [*bounds("broken"), *forms()]
KEPT = list(filter(is_alone, bounds("kept")))


@pytest.fixture(scope="module")
def unchecked(shared: EmulatorProcess) -> KinesisClient:
    """A client that sends what is not valid; what it asks for changes nothing."""
    client = shared.client(validates=False)
    if STREAM not in client.list_streams()["StreamNames"]:
        client.create_stream(StreamName=STREAM, ShardCount=1)
    return client


def test_every_emulated_operation_is_compared():
    assert REQUESTS.keys() == OPERATIONS.keys()
    assert len(BROKEN) + len(KEPT) >= 60


@pytest.mark.parametrize("case", BROKEN, ids=str)
def test_what_breaks_the_model_is_refused(unchecked: KinesisClient, case: Case):
    call = getattr(unchecked, xform_name(case.operation))

    assert error_code(lambda: call(**case.request())) == "ValidationException"


@pytest.mark.parametrize("case", KEPT, ids=str)
def test_what_keeps_the_model_passes_validation(
    emulator: EmulatorProcess, kinesis: KinesisClient, case: Case
):
    call = getattr(emulator.client(validates=False), xform_name(case.operation))
    modelled = MODEL.operation_model(case.operation).error_shapes

    # an iterator of one letter is well-formed, and yet none of the stream's
    refusals = {None, *(shape.name for shape in modelled)} - {"ValidationException"}
    assert code_of(lambda: call(**case.request())) in refusals


@pytest.mark.parametrize("member", sorted(NOT_EMULATED))
def test_a_member_that_is_not_emulated_is_refused_by_name(
    unchecked: KinesisClient, member: str
):
    operation = next(
        name
        for name in OPERATIONS
        if (shape := MODEL.operation_model(name).input_shape)
        and member in shape.members
    )
    shape = MODEL.operation_model(operation).input_shape
    assert shape is not None
    kinds = {"string": "a", "boolean": True, "integer": 1, "timestamp": 0}
    value = kinds[shape.members[member].type_name]
    call = getattr(unchecked, xform_name(operation))

    with pytest.raises(ClientError, match=f"unknown field `{member}`"):
        call(**REQUESTS[operation], **{member: value})
