"""How a Kinesis endpoint is reached: the producer writes to it, the API reads on."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from types_boto3_kinesis import KinesisClient

    from conf.settings import KinesisSettings


def is_loopback(url: str) -> bool:
    """Tell whether a URL points to this machine: to a simulator or an emulator."""
    return urlsplit(url).hostname in {"127.0.0.1", "::1", "localhost"}


def open_client(settings: KinesisSettings) -> KinesisClient:
    """Return a client that never retries by itself: whoever calls it does.

    An endpoint on this machine is an emulator: it gets dummy credentials, never the
    person's own, and no proxy.
    """
    local = settings.endpoint_url is not None and is_loopback(settings.endpoint_url)
    config = Config(
        connect_timeout=2,
        read_timeout=10,
        retries={"total_max_attempts": 1},
        parameter_validation=False,
        proxies={} if local else None,
    )
    dummy = "emulator" if local else None
    return boto3.Session(
        aws_access_key_id=dummy,
        aws_secret_access_key=dummy,
        region_name=settings.region,
    ).client("kinesis", endpoint_url=settings.endpoint_url, config=config)
