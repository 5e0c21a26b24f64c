"""Whether the API lives, what it can show, and its metrics."""

from http import HTTPStatus
from typing import cast

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api.metrics import Metrics
from api.readiness import readiness
from api.responses import Health, Readiness

router = APIRouter(tags=["health"])
_NO_STORE = {"Cache-Control": "no-store"}


@router.get("/health", response_model=Health)
async def health(request: Request) -> Health:
    """The process answers."""
    return Health(status="ok", version=request.app.version)


@router.get(
    "/ready",
    response_model=Readiness,
    responses={503: {"model": Readiness, "description": "Nothing to show yet"}},
)
async def ready(request: Request) -> Response:
    """What the API reads, how old it is, and what to do about it."""
    found = readiness(request.app.state.lake, request.app.state.tail.status)
    status = HTTPStatus.OK
    if found.status == "starting":
        status = HTTPStatus.SERVICE_UNAVAILABLE
    return Response(
        found.model_dump_json(), status, _NO_STORE, media_type="application/json"
    )


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """Requests, tables and the process itself, for Prometheus."""
    registry = cast("Metrics", request.app.state.metrics).registry
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
