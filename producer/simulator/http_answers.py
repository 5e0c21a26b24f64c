"""The HTTP beside the WebSocket: Alpaca's historical bars and our own status."""

from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from producer.simulator.accounts import is_valid
from producer.simulator.history import BadQuery, History


def bars(request: Request, history: History | None) -> Response:
    """Answer ``GET /v2/stocks/bars``; without a history there are none.

    Unlike Alpaca it asks for no key, but refuses wrong ones.
    """
    key = request.headers.get("APCA-API-KEY-ID", "none")
    if not is_valid(key, request.headers.get("APCA-API-SECRET-KEY", "none")):
        return json_response({"message": "forbidden."}, HTTPStatus.FORBIDDEN)
    if history is None:
        return json_response({"bars": {}, "next_page_token": None})
    query = dict(parse_qsl(request.path.partition("?")[2]))
    try:
        return json_response(history.page(query))
    except BadQuery as wrong:
        return json_response({"message": str(wrong)}, HTTPStatus.BAD_REQUEST)


def json_response(body: dict[str, Any], status: HTTPStatus = HTTPStatus.OK) -> Response:
    """Return a whole answer; the connection closes after it."""
    encoded = msgspec.json.encode(body)
    headers = Headers(
        {
            "Content-Type": "application/json",
            "Content-Length": str(len(encoded)),
            "Connection": "close",
        }
    )
    return Response(status, status.phrase, headers, encoded)
