r"""``python -m producer.history_client``: Alpaca's history, asked through alpaca-py.

alpaca-py and the calendars cost seconds of CPU and over 100 MB to load, so they live in
a process of their own as long as a gap is being filled. It reads one request a line
from stdin and writes one answer a line to stdout, JSON both:

    {"path":"/stocks/trades","query":{"symbols":"AAPL","start":"…","limit":5000}}
    {"status":200,"headers":{"x-ratelimit-remaining":"199"},"body":{…}}

    {"path":"/orders","query":{"status":"all","after":"…"},"api":"trading"}
    {"status":200,"headers":{"x-ratelimit-remaining":"198"},"body":[…]}

    {"sessions":["2026-11-20","2026-11-30"]}
    {"sessions":[[1795528800000000000,1795586400000000000]]}

Status 0 means that nobody answered; ``text`` says why. It ends with its stdin.
"""

import os
import sys
from typing import Any, Literal

import msgspec
import requests
from alpaca.common.exceptions import APIError
from alpaca.common.rest import RESTClient

from conf.market.market_hours import extended_sessions
from conf.settings import AlpacaSettings, Settings, load
from producer.endpoints import rest_url, trading_url

_LIMITS = "x-ratelimit-"


class Request(msgspec.Struct):
    """A page of history or of orders, or the sessions between two days."""

    path: str | None = None
    query: dict[str, str] = {}
    api: Literal["data", "trading"] = "data"
    sessions: tuple[str, str] | None = None


class History:
    """alpaca-py's client, with the headers that it does not give.

    Args:
        settings: Keys.
        url: Of the API, without version.
    """

    def __init__(self, settings: AlpacaSettings, url: str) -> None:
        self._client = RESTClient(
            base_url=url,
            api_key=settings.api_key.get_secret_value(),
            secret_key=settings.secret_key.get_secret_value(),
            api_version="v2",
            raw_data=True,
        )
        self._headers: dict[str, str] = {}
        # it offers neither: a hook to see the limits, and leaving the retries to us
        self._client._session.hooks["response"].append(self._on_response)
        self._client._retry = 0

    def page(self, path: str, query: dict[str, str]) -> dict[str, Any]:
        """Return one page, or why there is none."""
        self._headers = {}
        try:
            body = self._client.get(path, query)
        except APIError as error:
            status = error.status_code or 0
            return {"status": status, "headers": self._headers, "text": str(error)}
        except requests.RequestException as error:
            return {"status": 0, "headers": {}, "text": str(error)}
        return {"status": 200, "headers": self._headers, "body": body}

    def _on_response(self, response: requests.Response, **_: object) -> None:
        self._headers = {
            name.lower(): value
            for name, value in response.headers.items()
            if name.lower().startswith(_LIMITS)
        }


def serve(settings: Settings) -> None:
    """Answer requests until stdin ends."""
    urls = {"data": rest_url(settings), "trading": trading_url(settings.alpaca)}
    apis = {name: History(settings.alpaca, url) for name, url in urls.items()}
    for line in sys.stdin.buffer:
        request = msgspec.json.decode(line, type=Request)
        if request.sessions is not None:
            answer: dict[str, Any] = {"sessions": extended_sessions(*request.sessions)}
        else:
            answer = apis[request.api].page(request.path or "", request.query)
        try:
            sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            os._exit(0)  # the producer was killed; flushing at exit would fail again


if __name__ == "__main__":
    serve(load())
