"""Says what the producer needs and whether it is there: keys, clock, stream, disk."""

from __future__ import annotations

import http.client
import shutil
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from conf.errors import FixSetup, RetryLater, TickhouseError
from conf.findings import Finding
from conf.kinesis import is_loopback, open_client
from conf.settings import AlpacaSettings, KinesisSettings, Settings
from producer.endpoints import feed_url, rest_url
from producer.kinesis import reaction
from producer.probe import TEST_SYMBOL, Sample, fakepaca, listen
from producer.subscription import (
    check_plan,
    counted,
    describe,
    plan_limit,
    requested,
)

if TYPE_CHECKING:
    from types_boto3_kinesis import KinesisClient

LIVE_SECONDS = 5.0
_TIMEOUT_S = 5.0
_DATE_RESOLUTION_S = 1.0
_MB = 1024 * 1024


def examine(settings: Settings) -> list[Finding]:
    """Return every finding, in the order a person would mend them."""
    return [
        keys(settings.alpaca),
        plan(settings.alpaca),
        clock(settings),
        stream(open_client(settings.kinesis), settings.kinesis),
        disk(settings),
    ]


async def live(
    settings: AlpacaSettings, *, seconds: float = LIVE_SECONDS
) -> tuple[Finding, Sample | None]:
    """Listen to the test stream, if there are keys for it; return what came."""
    url = feed_url(fakepaca(settings))
    if not has_keys(settings):
        fix = "Set ALPACA_API_KEY and ALPACA_SECRET_KEY: it is free of charge"
        return Finding("live", "note", f"not run: {url} asks for keys", fix), None
    try:
        sample = await listen(fakepaca(settings), seconds=seconds)
    except FixSetup as error:
        return _wrong("live", error), None
    if sample.first is None:
        fix = "The lines above say why; another program may use the connection"
        return Finding("live", "missing", f"nothing came of {url}", fix), sample
    found = f"{sample.per_s:.1f} messages/s of {TEST_SYMBOL}; first {sample.first}"
    return Finding("live", "ok", found), sample


def has_keys(settings: AlpacaSettings) -> bool:
    """Return whether there are keys, or a simulator that needs none."""
    default = AlpacaSettings.model_fields["api_key"].default
    is_given = default not in (settings.api_key, settings.secret_key)
    return is_given or is_loopback(settings.url)


def keys(settings: AlpacaSettings) -> Finding:
    """Look for the keys; whether they are valid is for the server to say."""
    if is_loopback(settings.url):
        return Finding("keys", "ok", "the simulator takes any")
    if has_keys(settings):
        return Finding("keys", "ok", "present")
    fix = "Set ALPACA_API_KEY and ALPACA_SECRET_KEY in .env"
    return Finding("keys", "missing", f"none for {settings.url}", fix)


def plan(settings: AlpacaSettings) -> Finding:
    """Compare the subscription with what the plan allows."""
    try:
        check_plan(settings)
    except FixSetup as error:
        return _wrong("plan", error)
    channels, limit = requested(settings), plan_limit(settings)
    allowed = "any number" if limit is None else str(limit)
    count = len(counted(channels))
    found = f"{count} symbols of trades and quotes, allowed {allowed}"
    return Finding("plan", "ok", f"{found}; {describe(channels)}")


def clock(settings: Settings) -> Finding:
    """Compare this machine's clock with the data server's."""
    url = rest_url(settings)
    try:
        skew_s = _skew_s(url)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = str(error) or type(error).__name__
        return Finding("clock", "note", f"{url} does not tell the time: {reason}")
    found = f"{skew_s:+.1f} s against {url}, known to {_DATE_RESOLUTION_S:g} s"
    if abs(skew_s) <= _DATE_RESOLUTION_S:
        return Finding("clock", "ok", found)
    fix = "Synchronise it: sudo timedatectl set-ntp true"
    too_much = abs(skew_s) > settings.lake.future_max_s
    return Finding("clock", "missing" if too_much else "note", found, fix)


def stream(client: KinesisClient, settings: KinesisSettings) -> Finding:
    """Look whether the stream is there, active, and how wide."""
    name = settings.stream_name
    try:
        answer = client.describe_stream_summary(StreamName=name)
    except client.exceptions.ResourceNotFoundException:
        if settings.endpoint_url is not None:
            found = f"{name!r} is not there yet: the producer makes it"
            return Finding("stream", "note", found)
        fix = "Create it (make deploy) or name one that exists"
        return Finding("stream", "missing", f"no {name!r} in {settings.region}", fix)
    except (ClientError, BotoCoreError) as error:
        return _wrong("stream", reaction(error, settings))
    summary = answer["StreamDescriptionSummary"]
    shards, status = summary["OpenShardCount"], summary["StreamStatus"]
    found = f"{name!r} is {status}, {shards} open shards"
    if status in ("ACTIVE", "UPDATING"):
        return Finding("stream", "ok", found)
    return Finding("stream", "missing", found, "Wait until it is ACTIVE")


def disk(settings: Settings) -> Finding:
    """Look whether the spool could grow to its bound."""
    folder = settings.var / "spool"
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    used = sum(path.stat().st_size for path in folder.glob("*.spool"))
    free = shutil.disk_usage(existing).free
    needed = settings.spool.max_mb * _MB - used
    found = f"{free // _MB} MB free, the spool has {used // _MB} MB of its "
    found += f"{settings.spool.max_mb} MB"
    if free >= needed:
        return Finding("disk", "ok", found)
    return Finding("disk", "missing", found, "Free some, or lower spool.max_mb")


def _skew_s(url: str) -> float:
    """Return how much this clock is ahead of a server's.

    Raises:
        OSError: Nobody answers.
        ValueError: The answer has no date.
    """
    address = urlsplit(url)
    is_secure = address.scheme == "https"
    kind = http.client.HTTPSConnection if is_secure else http.client.HTTPConnection
    connection = kind(address.hostname or "", address.port, timeout=_TIMEOUT_S)
    try:
        before_s = time.time()
        connection.request("GET", "/")
        date = connection.getresponse().getheader("Date")
        middle_s = (before_s + time.time()) / 2
    finally:
        connection.close()
    if date is None:
        raise ValueError("the answer has no date")
    # a date names its whole second: on average it is half a second old
    return middle_s - (parsedate_to_datetime(date).timestamp() + 0.5)


def _wrong(name: str, error: TickhouseError) -> Finding:
    if isinstance(error, FixSetup):
        return Finding(
            name, "missing", f"{error.where}: {error.what}", error.suggestion
        )
    if isinstance(error, RetryLater):
        fix = "Start what it names, or correct the address"
        return Finding(name, "missing", str(error), fix)
    raise error
