"""``GET /api/v1/stream``: everything live over one connection."""

from typing import Annotated, cast

from fastapi import APIRouter, Header, HTTPException, Query, Request, status

from api.event_stream import EventStream
from api.events import StreamEvent
from api.payloads import TOPICS, Topic
from api.problems import documented
from api.stream import Hub, Subscription, TooManyClients

_TOPIC = f"(?:{'|'.join(TOPICS)})"
_SYMBOL = r"[A-Z][A-Z0-9./-]{0,19}"

router = APIRouter(prefix="/api/v1", tags=["stream"], responses=documented(422, 429))


@router.get(
    "/stream",
    operation_id="stream",
    status_code=status.HTTP_200_OK,
    response_class=EventStream,
    responses={
        status.HTTP_200_OK: {
            "model": StreamEvent,
            "description": "Server-sent events; `event` names the topic, `data` is "
            "one of these objects on one line, `id` resumes by `Last-Event-ID`.",
        }
    },
)
async def stream(
    request: Request,
    symbols: Annotated[
        str | None,
        Query(
            pattern=f"^{_SYMBOL}(?:,{_SYMBOL})*$",
            max_length=4096,
            description="Comma-separated; left out: all",
            examples=["AAPL,MSFT"],
        ),
    ] = None,
    topics: Annotated[
        str | None,
        Query(
            pattern=f"^{_TOPIC}(?:,{_TOPIC})*$",
            description=f"Comma-separated, of {', '.join(TOPICS)}; left out: all",
            examples=["ticker,candle"],
        ),
    ] = None,
    last_event_id: Annotated[
        str | None, Header(description="Resume after this event", max_length=200)
    ] = None,
) -> EventStream:
    """Open the live stream: prices, candles, statistics and the pipeline's state.

    It begins with a snapshot, or after ``Last-Event-ID`` with what was missed; if that
    is gone, with ``event: reset`` and a snapshot.
    """
    hub = cast("Hub", request.app.state.hub)
    wanted = Subscription(
        frozenset(cast("list[Topic]", topics.split(",")) if topics else TOPICS),
        frozenset(symbols.split(",")) if symbols else None,
    )
    address = request.client.host if request.client else ""
    try:
        client = hub.subscribe(wanted, address, last_event_id)
    except TooManyClients as error:
        raise HTTPException(
            status.HTTP_429_TOO_MANY_REQUESTS, str(error), {"Retry-After": "10"}
        ) from error
    return EventStream(hub, client)
