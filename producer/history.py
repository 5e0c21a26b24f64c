"""What the simulator tells beside its stream: market mode and the last sessions.

The last sessions' minute bars are published before the stream starts, so that
indicators exist in the first minute. Alpaca itself is never asked here.
"""

import http.client
from urllib.parse import urlencode, urlsplit

import msgspec

from conf.errors import RetryLater
from conf.logs import get_logger
from conf.market.wire import Head
from conf.settings import AlpacaSettings
from producer.endpoints import subscribed_symbols
from producer.protocol import Message

_TIMEOUT_S = 10.0
_log = get_logger(__name__)


class _Status(msgspec.Struct):
    live: bool = True


class _Page(msgspec.Struct):
    bars: dict[str, list[dict[str, msgspec.Raw]]] | None = None
    next_page_token: str | None = None


class History(msgspec.Struct, frozen=True):
    """Minute bars, by symbol then time; the epoch names the first minute."""

    epoch: str
    bars: list[Message]


def fetch_live(settings: AlpacaSettings) -> bool:
    """Return whether the server's market time is the wall clock.

    Raises:
        RetryLater: The server does not answer yet.
    """
    body = _get(settings, "/sim/status")
    return body is None or msgspec.json.decode(body, type=_Status).live


def fetch_history(settings: AlpacaSettings) -> History | None:
    """Return the sessions before the stream; None when the server keeps none.

    Raises:
        RetryLater: The server does not answer yet.
    """
    symbols = [x for x in subscribed_symbols(settings) if x != "*"]
    query = {"symbols": ",".join(symbols), "timeframe": "1Min", "limit": "10000"}
    bars: list[Message] = []
    while True:
        body = _get(settings, f"/v2/stocks/bars?{urlencode(query)}")
        if body is None:
            return None
        page = msgspec.json.decode(body, type=_Page)
        for symbol, session in (page.bars or {}).items():
            bars += [_message(len(bars) + n, symbol, x) for n, x in enumerate(session)]
        if not page.next_page_token:
            break
        query["page_token"] = page.next_page_token
    start = min((bar.head.event_time or "" for bar in bars), default=None)
    return None if start is None else History(f"history-{start}", bars)


def _message(index: int, symbol: str, bar: dict[str, msgspec.Raw]) -> Message:
    data = msgspec.json.encode({"T": "b", "S": symbol, **bar})
    head = msgspec.json.decode(data, type=Head)
    return Message(index, head, msgspec.Raw(data))


def _get(settings: AlpacaSettings, path: str) -> bytes | None:
    """Return the answer's body; None, logged, when there is no such answer."""
    address = urlsplit(settings.url)
    connection = http.client.HTTPConnection(
        address.hostname or "", address.port, timeout=_TIMEOUT_S
    )
    keys = {
        "APCA-API-KEY-ID": settings.api_key.get_secret_value(),
        "APCA-API-SECRET-KEY": settings.secret_key.get_secret_value(),
    }
    try:
        connection.request("GET", path, headers=keys)
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise RetryLater(f"{settings.url}: {error or type(error).__name__}") from error
    finally:
        connection.close()
    if response.status == http.HTTPStatus.OK:
        return body
    _log.warning("no answer", path=path.partition("?")[0], status=response.status)
    return None
