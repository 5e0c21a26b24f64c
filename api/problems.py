"""Errors as `application/problem+json` (RFC 9457), each with a hint at what to do."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from api.responses import Problem
from conf.errors import RetryLater
from conf.logs import get_logger

MEDIA_TYPE = "application/problem+json"
NOT_MODIFIED: dict[int | str, dict[str, Any]] = {
    304: {"description": "`If-None-Match` names what there is"}
}
_REFERENCE = "/openapi.json lists every path and what it takes"
_HINTS = {
    HTTPStatus.METHOD_NOT_ALLOWED: "The API is read-only: use GET",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "No request needs a body",
    HTTPStatus.SERVICE_UNAVAILABLE: "Ask again in a few seconds; /ready says why",
}
_log = get_logger(__name__)


class Refused(HTTPException):
    """A request that cannot be answered, with a hint at one that can."""

    def __init__(self, status: HTTPStatus, detail: str, hint: str) -> None:
        super().__init__(status, detail)
        self.hint = hint


def problem(
    status: int,
    detail: str,
    hint: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a problem as a response; without a hint, the one of its status."""
    known = HTTPStatus(status)
    told = Problem(
        type="about:blank",
        title=known.phrase,
        status=status,
        detail=detail,
        hint=hint or _HINTS.get(known, _REFERENCE),
    )
    return Response(told.model_dump_json(), status, headers, MEDIA_TYPE)


def handle_problems(app: FastAPI) -> None:
    """Make every error of ``app`` a problem, but those that ``on_error`` is for."""
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(RetryLater, _on_retry_later)


async def on_error(request: Request, error: Exception) -> Response:
    """Answer a request that failed by a fault of ours."""
    _log.error("request failed", path=request.url.path, exc_info=error)
    return problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        f"{type(error).__name__} while answering {request.url.path}",
        "Ask again; the API's log holds the whole error",
    )


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI responses of these statuses."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": schema}},
        }
        for status in statuses
    }


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 (as registered)
    detail = error.detail
    if detail == HTTPStatus(error.status_code).phrase:
        detail = f"There is no {request.method} {request.url.path}"
    hint = getattr(error, "hint", None)
    return problem(error.status_code, detail, hint, error.headers)


async def _on_validation(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 (as registered)
    found = [
        (str(one["loc"][-1]), one["msg"].removeprefix("Value error, "))
        for one in error.errors()
    ]
    detail = "; ".join(f"{name}: {message}" for name, message in found)
    names = ", ".join(dict.fromkeys(name for name, _ in found))
    hint = f"Correct {names}; /openapi.json lists what is allowed"
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, hint)


async def _on_retry_later(_: Request, error: Exception) -> Response:
    headers = {"Retry-After": "1"}
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error), headers=headers)
