"""Faults on demand, named and described as AWS's Fault Injection Service does it.

``POST /faults`` starts one from FIS's description of an action::

    {"actionId": "aws:fis:inject-api-internal-error",
     "parameters": {"duration": "PT30S", "percentage": "25",
                    "operations": "PutRecords"}}

| actionId | what is struck | its answer |
| --- | --- | --- |
| aws:fis:inject-api-internal-error | any operation | InternalFailure, 500 |
| aws:fis:inject-api-throttle-error | any operation | ThrottlingException, 400 |
| aws:fis:inject-api-unavailable-error | any operation | ServiceUnavailable, 503 |
| aws:kinesis:stream-provisioned-throughput-exception | puts, GetRecords | 400 |
| aws:kinesis:stream-expired-iterator-exception | GetRecords | 400 |
| emulator:put-records-entry-failure | an entry of PutRecords | it alone failed |
| emulator:put-records-entry-stored | an entry of PutRecords | stored, answered failed |
| emulator:put-then-reset | puts | stored, and the connection is reset |

The last three are faults that FIS does not have. What the last two strike is listed in
the ledger ``injected_duplicates`` of the store: a correct client sends it again, and
the stream then holds the same payload twice.
"""

import random
from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from infra.local.kinesis.errors import ApiError, internal_failure

Action = Literal[
    "aws:fis:inject-api-internal-error",
    "aws:fis:inject-api-throttle-error",
    "aws:fis:inject-api-unavailable-error",
    "aws:kinesis:stream-provisioned-throughput-exception",
    "aws:kinesis:stream-expired-iterator-exception",
    "emulator:put-records-entry-failure",
    "emulator:put-records-entry-stored",
    "emulator:put-then-reset",
]
_MILLISECOND = timedelta(milliseconds=1)
_PUTS = frozenset({"PutRecord", "PutRecords"})
_TARGETS: dict[Action, frozenset[str]] = {
    "aws:kinesis:stream-provisioned-throughput-exception": _PUTS | {"GetRecords"},
    "aws:kinesis:stream-expired-iterator-exception": frozenset({"GetRecords"}),
    "emulator:put-records-entry-failure": frozenset({"PutRecords"}),
    "emulator:put-records-entry-stored": frozenset({"PutRecords"}),
    "emulator:put-then-reset": _PUTS,
}
"""Operations that an action can strike, where not all."""

_ERRORS: dict[Action, Callable[[], ApiError]] = {
    "aws:fis:inject-api-internal-error": internal_failure,
    "aws:fis:inject-api-throttle-error": lambda: ApiError(
        "ThrottlingException", "Rate exceeded"
    ),
    "aws:fis:inject-api-unavailable-error": lambda: ApiError(
        "ServiceUnavailable",
        "Service is unavailable. Please try again later.",
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
    "aws:kinesis:stream-provisioned-throughput-exception": lambda: ApiError(
        "ProvisionedThroughputExceededException", "Rate exceeded for the stream."
    ),
    "aws:kinesis:stream-expired-iterator-exception": lambda: ApiError(
        "ExpiredIteratorException", "Iterator expired."
    ),
}
"""Answers of the actions that strike a request before it is performed."""


class Parameters(Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """FIS's parameters, and two of ours; numbers may be text, as FIS has them.

    Attributes:
        duration: ISO 8601, ``PT30S``; None until it is stopped.
        percentage: Share of the calls (entries) it can strike.
        operations: Names separated by commas; empty for all it can strike.
        stream: Name of the only stream to strike; empty for all.
        count: After so many strikes it is over.
    """

    duration: timedelta | None = None
    percentage: Annotated[float, Meta(gt=0, le=100)] = 100
    operations: str = ""
    stream: str = ""
    count: Annotated[int, Meta(ge=1)] | None = None


class FaultRequest(Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """What ``POST /faults`` takes."""

    action_id: Action
    parameters: Parameters = field(default_factory=Parameters)


class Fault(Struct, rename="camel", kw_only=True):
    """A running fault; ``struck`` counts what it has hit."""

    id: int
    action_id: Action
    parameters: Parameters
    ends_ms: int | None
    struck: int = 0

    def is_over(self, now_ms: int) -> bool:
        """Tell whether its time or its strikes are used up."""
        if self.ends_ms is not None and now_ms >= self.ends_ms:
            return True
        return self.parameters.count is not None and self.struck >= (
            self.parameters.count
        )

    def aims_at(self, operation: str, stream_name: str | None) -> bool:
        """Tell whether it may strike this call."""
        chosen = [name.strip() for name in self.parameters.operations.split(",")]
        if chosen != [""] and operation not in chosen:
            return False
        if operation not in _TARGETS.get(self.action_id, {operation}):
            return False
        return self.parameters.stream in ("", stream_name)


class Faults:
    """The running faults; the same seed and the same calls, the same strikes.

    Args:
        now_ms: The wall clock, ms since the epoch.
        seed: Chooses the calls where not all are struck.
    """

    def __init__(self, now_ms: Callable[[], int], seed: int = 0) -> None:
        self._now_ms, self._seed = now_ms, seed
        self._running: dict[int, tuple[Fault, random.Random]] = {}
        self._last_id = 0

    def start(self, request: FaultRequest) -> Fault:
        """Begin to strike."""
        self._last_id += 1
        lasts = request.parameters.duration
        fault = Fault(
            id=self._last_id,
            action_id=request.action_id,
            parameters=request.parameters,
            ends_ms=None if lasts is None else self._now_ms() + lasts // _MILLISECOND,
        )
        self._running[fault.id] = (fault, random.Random(f"{self._seed}/{fault.id}"))
        return fault

    def stop(self, fault_id: int) -> Fault | None:
        """End a fault and return it, or None if there is no such one."""
        fault, _ = self._running.pop(fault_id, (None, None))
        return fault

    def running(self) -> list[Fault]:
        """Return what is running now, oldest first."""
        now_ms = self._now_ms()
        over = [key for key, (each, _) in self._running.items() if each.is_over(now_ms)]
        for key in over:
            del self._running[key]
        return [fault for fault, _ in self._running.values()]

    def __bool__(self) -> bool:
        """Tell whether there may be any: most calls need to know no more."""
        return bool(self._running)

    def strikes(self, action: Action, operation: str, stream_name: str) -> bool:
        """Decide about one call, or one entry, and count it if it is struck."""
        if not self._running:
            return False
        return any(
            self._hits(fault)
            for fault in self.running()
            if fault.action_id == action and fault.aims_at(operation, stream_name)
        )

    def error(self, operation: str, stream_name: str | None) -> ApiError | None:
        """Return what a call is answered instead of being performed, or None."""
        for fault in self.running():
            answer = _ERRORS.get(fault.action_id)
            if answer and fault.aims_at(operation, stream_name) and self._hits(fault):
                return answer()
        return None

    def _hits(self, fault: Fault) -> bool:
        _, chance = self._running[fault.id]
        hit = chance.random() * 100 < fault.parameters.percentage
        fault.struck += hit
        return hit
