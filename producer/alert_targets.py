"""Who is told of an alert beside the log: a webhook, a topic of Amazon SNS."""

import http.client
import threading
from collections.abc import Callable
from urllib.parse import urlsplit

import boto3
import msgspec
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from conf.errors import FixSetup
from conf.logs import get_logger
from conf.settings import WatchSettings

_TIMEOUT_S = 5.0
_log = get_logger(__name__)


class Alert(msgspec.Struct, frozen=True):
    """One alert at one moment; ``state`` is firing or resolved, time in epoch s."""

    alert: str
    state: str
    detail: str
    time_s: float


Target = Callable[[Alert], None]
"""Tells somebody; it may take seconds, and says in the log that it could not."""


def targets(settings: WatchSettings) -> list[Target]:
    """Return what the settings name.

    Raises:
        FixSetup: A URL or an ARN is none.
    """
    found: list[Target] = []
    if settings.webhook_url is not None:
        found.append(webhook(settings.webhook_url))
    if settings.sns_topic_arn is not None:
        found.append(sns_topic(settings.sns_topic_arn))
    return found


def tell(target: Target, alert: Alert) -> None:
    """Let a target tell, while the caller goes on."""
    threading.Thread(target=target, args=(alert,), daemon=True).start()


def webhook(url: str) -> Target:
    """Return what posts an alert as JSON.

    Raises:
        FixSetup: The URL is none.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise FixSetup(
            "watch.webhook_url", f"{url!r} is no URL", "Set https://host/path"
        )
    return lambda alert: _post(url, alert)


def sns_topic(arn: str) -> Target:
    """Return what publishes an alert as JSON, with a subject for those who get mail.

    Raises:
        FixSetup: The ARN names no topic.
    """
    match arn.split(":"):
        case ["arn", _, "sns", region, _, name] if region and name:
            # a client belongs to one thread, and alerts are rare
            return lambda alert: _publish(arn, region, alert)
    raise FixSetup(
        "watch.sns_topic_arn",
        f"{arn!r} is no topic",
        "Set arn:aws:sns:<region>:<account>:<name>",
    )


def _post(url: str, alert: Alert) -> None:
    address = urlsplit(url)
    kind = (
        http.client.HTTPSConnection
        if address.scheme == "https"
        else http.client.HTTPConnection
    )
    connection = kind(address.hostname or "", address.port, timeout=_TIMEOUT_S)
    path = (address.path or "/") + (f"?{address.query}" if address.query else "")
    try:
        body = msgspec.json.encode(alert)
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        if answer.status >= http.client.MULTIPLE_CHOICES:
            _log.warning("webhook refused an alert", status=answer.status)
    except (OSError, http.client.HTTPException) as error:
        _log.warning("webhook does not answer", reason=str(error))
    finally:
        connection.close()


def _publish(arn: str, region: str, alert: Alert) -> None:
    config = Config(connect_timeout=_TIMEOUT_S, read_timeout=_TIMEOUT_S)
    try:
        boto3.Session(region_name=region).client("sns", config=config).publish(
            TopicArn=arn,
            Subject=f"Tickhouse: {alert.alert} {alert.state}",
            Message=msgspec.json.encode(alert).decode(),
        )
    except (BotoCoreError, ClientError) as error:
        _log.warning("SNS took no alert", topic=arn, reason=str(error))
