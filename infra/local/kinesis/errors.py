"""What the emulator answers when it refuses, spelled as AWS spells it."""

from http import HTTPStatus

ACCOUNT_ID = "000000000000"


class ApiError(Exception):
    """A refused request: AWS's error code, its message, the HTTP status."""

    def __init__(
        self, code: str, message: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST
    ) -> None:
        self.code, self.message, self.status = code, message, status
        super().__init__(f"{code}: {message}")


class AnswerLost(Exception):
    """The operation was performed; the connection is reset instead of an answer."""


def invalid_argument(message: str) -> ApiError:
    """The parameters are well-formed but cannot be used."""
    return ApiError("InvalidArgumentException", message)


def invalid_request(reason: str) -> ApiError:
    """A parameter breaks a constraint of the API's model."""
    return ApiError("ValidationException", f"1 validation error detected: {reason}")


def internal_failure() -> ApiError:
    """Nothing was stored, and it is not the client's fault."""
    return ApiError(
        "InternalFailure", "Internal Service Failure", HTTPStatus.INTERNAL_SERVER_ERROR
    )


def stream_not_found(stream_name: str) -> ApiError:
    """There is no such stream (or not any more)."""
    return ApiError(
        "ResourceNotFoundException",
        f"Stream {stream_name} under account {ACCOUNT_ID} not found.",
    )


def shard_not_found(shard_id: str, stream_name: str) -> ApiError:
    """The stream exists, the shard does not."""
    return ApiError(
        "ResourceNotFoundException",
        f"Shard {shard_id} in stream {stream_name} under account {ACCOUNT_ID}"
        " does not exist",
    )


def shard_limit_exceeded(limit: int) -> ApiError:
    """The stream would have too many open shards."""
    return ApiError(
        "LimitExceededException",
        f"This request would exceed the shard limit of {limit} a stream.",
    )


def throughput_exceeded(shard_id: str, stream_name: str) -> ApiError:
    """The shard's budget of this second is spent."""
    return ApiError(
        "ProvisionedThroughputExceededException",
        f"Rate exceeded for shard {shard_id} in stream {stream_name}"
        f" under account {ACCOUNT_ID}.",
    )
