"""Which calls a fault strikes, how many, and for how long."""

import msgspec
import pytest

from infra.local.kinesis.errors import ApiError
from infra.local.kinesis.faults import FaultRequest, Faults

NOON_MS = 1_795_000_000_000
INTERNAL = "aws:fis:inject-api-internal-error"
STORED = "emulator:put-records-entry-stored"


class Clock:
    def __init__(self) -> None:
        self.now_ms = NOON_MS

    def __call__(self) -> int:
        return self.now_ms


def a_fault(action: str, **parameters: object) -> FaultRequest:
    body = {"actionId": action, "parameters": parameters}
    return msgspec.json.decode(
        msgspec.json.encode(body), type=FaultRequest, strict=False
    )


def running(action: str, seed: int = 0, **parameters: object) -> Faults:
    faults = Faults(Clock(), seed)
    faults.start(a_fault(action, **parameters))
    return faults


def choices(percentage: float, seed: int) -> list[bool]:
    faults = running(STORED, seed, percentage=percentage)
    return [faults.strikes(STORED, "PutRecords", "ticks") for _ in range(10_000)]


def test_the_same_seed_makes_the_same_choices():
    assert choices(2, seed=7) == choices(2, seed=7)
    assert choices(2, seed=7) != choices(2, seed=8)


def test_the_share_is_the_percentage():
    assert 150 <= sum(choices(2, seed=7)) <= 250
    assert all(choices(100, seed=7))


def test_without_a_fault_nothing_fails():
    faults = Faults(Clock())
    assert not faults
    assert not faults.strikes(STORED, "PutRecords", "ticks")


def test_a_fault_ends_with_its_duration():
    clock = Clock()
    faults = Faults(clock)
    faults.start(a_fault(INTERNAL, duration="PT1M30S"))

    clock.now_ms += 89_999
    assert faults.error("PutRecords", "ticks")
    clock.now_ms += 1
    assert faults.error("PutRecords", "ticks") is None
    assert faults.running() == []


def test_a_fault_ends_after_its_count():
    faults = running(INTERNAL, count="2")

    struck = [bool(faults.error("GetRecords", "ticks")) for _ in range(5)]

    assert struck == [True, True, False, False, False]


def test_a_stopped_fault_says_what_it_has_struck():
    faults = running(INTERNAL)
    faults.error("GetRecords", "ticks")

    stopped = faults.stop(1)

    assert stopped
    assert stopped.struck == 1
    assert faults.stop(1) is None
    assert faults.error("GetRecords", "ticks") is None


@pytest.mark.parametrize(
    ("parameters", "operation", "stream", "is_struck"),
    [
        ({}, "ListStreams", None, True),
        ({"operations": "PutRecords, GetRecords"}, "GetRecords", "ticks", True),
        ({"operations": "PutRecords"}, "GetRecords", "ticks", False),
        ({"stream": "ticks"}, "GetRecords", "ticks", True),
        ({"stream": "other"}, "GetRecords", "ticks", False),
        ({"stream": "other"}, "ListStreams", None, False),
    ],
)
def test_a_fault_strikes_the_calls_it_names(
    parameters: dict[str, str], operation: str, stream: str | None, is_struck: bool
):
    faults = running(INTERNAL, **parameters)

    assert bool(faults.error(operation, stream)) == is_struck


@pytest.mark.parametrize(
    ("action", "code", "status"),
    [
        (INTERNAL, "InternalFailure", 500),
        ("aws:fis:inject-api-throttle-error", "ThrottlingException", 400),
        ("aws:fis:inject-api-unavailable-error", "ServiceUnavailable", 503),
        (
            "aws:kinesis:stream-provisioned-throughput-exception",
            "ProvisionedThroughputExceededException",
            400,
        ),
        (
            "aws:kinesis:stream-expired-iterator-exception",
            "ExpiredIteratorException",
            400,
        ),
    ],
)
def test_the_answers_are_those_of_the_fault_injection_service(
    action: str, code: str, status: int
):
    error = running(action).error("GetRecords", "ticks")

    assert isinstance(error, ApiError)
    assert (error.code, error.status) == (code, status)


def test_an_action_strikes_only_the_operations_it_can():
    expired = running("aws:kinesis:stream-expired-iterator-exception")
    throttled = running("aws:kinesis:stream-provisioned-throughput-exception")

    assert expired.error("PutRecords", "ticks") is None
    assert throttled.error("ListShards", "ticks") is None
