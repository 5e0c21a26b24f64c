"""The HTTP beside the WebSocket: Alpaca's REST and the control of the faults."""

from http import HTTPStatus
from urllib.parse import parse_qsl

import msgspec
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from conf.logs import get_logger
from producer.simulator.accounts import is_valid
from producer.simulator.connection import Connection
from producer.simulator.disturbances import Disturbance, Disturbances, Fault
from producer.simulator.paper.broker import Broker
from producer.simulator.paper.orders import RefusedRequest
from producer.simulator.rest.market_data import MarketData
from producer.simulator.rest.query import BadQuery
from producer.simulator.rest.rate_limit import RateLimit

_log = get_logger("simulator.http")


class Answers:
    """Answers every plain HTTP request."""

    def __init__(
        self,
        data: MarketData,
        broker: Broker,
        disturbances: Disturbances,
        limit: RateLimit,
    ) -> None:
        self._data = data
        self._broker = broker
        self._disturbances = disturbances
        self._limit = limit

    async def rest(self, connection: Connection, request: Request) -> Response:
        """Answer a request below ``/v2`` as Alpaca does.

        Unlike Alpaca it asks for no key, but refuses wrong ones.
        """
        key = request.headers.get("APCA-API-KEY-ID", "none")
        if not is_valid(key, request.headers.get("APCA-API-SECRET-KEY", "none")):
            return json_response({"message": "forbidden."}, HTTPStatus.FORBIDDEN)
        is_allowed, headers = self._limit.take(key)
        if not is_allowed:
            body: object = {"code": 42910000, "message": "rate limit exceeded"}
            return json_response(body, HTTPStatus.TOO_MANY_REQUESTS, headers)
        status, body = await self._within_limit(key, connection, request)
        return json_response(body, status, headers)

    async def _within_limit(
        self, key: str, connection: Connection, request: Request
    ) -> tuple[HTTPStatus, object]:
        failure = self._disturbances.rest_error()
        if failure is not None:
            return HTTPStatus(failure), {"message": "simulated failure"}
        path, _, asked = request.path.partition("?")
        query = dict(parse_qsl(asked))
        try:
            match path.strip("/").split("/"):
                case ["v2", "stocks", *rest]:
                    return HTTPStatus.OK, await self._data.answer(key, rest, query)
                case [_, *rest]:
                    return self._broker.answer(
                        key, connection.method, rest, query, connection.body
                    )
            raise BadQuery(path)
        except BadQuery as wrong:
            return HTTPStatus.BAD_REQUEST, {"message": str(wrong)}
        except RefusedRequest as refused:
            return HTTPStatus(refused.status), refused.body

    def faults(self, connection: Connection, path: list[str]) -> Response:
        """Add, list or remove faults: ``/sim/faults``."""
        try:
            match connection.method, path:
                case "GET", []:
                    return json_response(self._disturbances.all())
                case "POST", []:
                    return json_response(self._add(connection.body), HTTPStatus.CREATED)
                case "DELETE", []:
                    return json_response(self._disturbances.remove())
                case "DELETE", [number]:
                    return json_response(self._disturbances.remove(int(number)))
        except (msgspec.MsgspecError, ValueError) as wrong:
            return json_response({"message": str(wrong)}, HTTPStatus.BAD_REQUEST)
        except KeyError:
            pass
        return json_response({"message": "no such fault"}, HTTPStatus.NOT_FOUND)

    def _add(self, body: bytes) -> list[Disturbance]:
        found = msgspec.json.decode(body, type=Fault | list[Fault])
        script = found if isinstance(found, list) else [found]
        _log.info("faults added", count=len(script))
        return [self._disturbances.add(fault) for fault in script]


def json_response(
    body: object,
    status: HTTPStatus = HTTPStatus.OK,
    headers: dict[str, str] | None = None,
) -> Response:
    """Return a whole answer; the connection closes after it."""
    encoded = b"" if status == HTTPStatus.NO_CONTENT else msgspec.json.encode(body)
    all_headers = Headers(
        {
            "Content-Type": "application/json",
            "Content-Length": str(len(encoded)),
            "Connection": "close",
            **(headers or {}),
        }
    )
    return Response(status, status.phrase, all_headers, encoded)
