"""What all requests and responses share: spelling, limits and defaults of AWS's model.

Unknown members are refused, so nothing a client asks for is silently left out.
"""

from typing import Annotated

from msgspec import Meta, Struct, field

Name = Annotated[
    str, Meta(min_length=1, max_length=128, pattern=r"\A[a-zA-Z0-9_.-]+\Z")
]
Arn = Annotated[
    str,
    Meta(max_length=2_048, pattern=r"\Aarn:aws.*:kinesis:.*:\d{12}:stream/[^/\s]+\Z"),
]
HashKey = Annotated[str, Meta(pattern=r"\A(0|[1-9][0-9]{0,38})\Z")]
Count = Annotated[int, Meta(ge=1, le=10_000)]


class Request(Struct, rename="pascal", forbid_unknown_fields=True):
    """What every request has in common: nothing but the spelling."""


class Response(Struct, rename="pascal", omit_defaults=True):
    """What every response has in common: absent members are left out."""


class OfStream(Request, kw_only=True):
    """A request that names its stream, by name or by ARN."""

    stream_name: Name | None = None
    stream_arn: Arn | None = field(name="StreamARN", default=None)


class HashKeyRange(Struct, rename="pascal"):
    """Both ends inclusive."""

    starting_hash_key: str
    ending_hash_key: str
