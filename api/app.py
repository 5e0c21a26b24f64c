"""The application: routes, errors, headers, and what is behind them."""

import asyncio
import signal
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.staticfiles import StaticFiles

from api.lake import Lake
from api.metrics import MeasuredRequests, Metrics
from api.prices import LakePrices, LivePrices
from api.problems import Refused, handle_problems, on_error
from api.responses import Problem
from api.routes import health, market, stream, tables
from api.security import ContentPolicies, KnownHosts, LimitedBodies, SecuredAnswers
from api.stream import Hub
from api.tail import Tail
from conf.logs import get_logger
from conf.settings import ROOT, Settings

_TITLE, _SUMMARY = "Tickhouse", "Live US-equity ticks: prices, bars and statistics"
_log = get_logger(__name__)
_COMPONENTS = [Problem]
"""Models of the OpenAPI schema that no route names as its own."""

_NOT_BUILT = """\
<!doctype html>
<html lang="en">
<title>Tickhouse</title>
<meta name="viewport" content="width=device-width">
<style>body { font: 1rem/1.5 system-ui; margin: 3rem auto; max-width: 40rem;
padding: 0 1rem; color-scheme: light dark }</style>
<h1>Tickhouse</h1>
<p>The API answers, but its dashboard is not built. It needs Node 20 or later:</p>
<pre><code>make dashboard</code></pre>
<p>Then start <code>make run</code> again. Meanwhile: <a href="/ready">ready</a>,
<a href="/api/v1/symbols">symbols</a>, <a href="/api/v1/tables">tables</a>,
<a href="/openapi.json">OpenAPI</a>.</p>
</html>
"""


def create_app(settings: Settings) -> FastAPI:
    """Return the application; its lifespan opens the lake and follows it.

    Raises:
        FixSetup: The lake is not on this machine.
    """
    app = FastAPI(
        title=_TITLE,
        summary=_SUMMARY,
        version=_version(),
        lifespan=_lifespan,
        docs_url=None,  # its pages load scripts from elsewhere
        redoc_url=None,
        generate_unique_id_function=_operation_id,
    )
    _add_parts(app, settings)
    handle_problems(app)
    for routes in (health, market, stream, tables):
        app.include_router(routes.router)
    _serve_pages(app, settings)
    _add_middleware(app, settings)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def _add_parts(app: FastAPI, settings: Settings) -> None:
    """Put what the routes ask for into ``app.state``.

    ``running`` are the parts that the lifespan keeps running.
    """
    lake, tail = Lake(settings.lake.root), Tail(settings)
    hub = Hub(tail, lake, settings.api)
    app.state.settings, app.state.lake = settings, lake
    app.state.tail, app.state.hub = tail, hub
    app.state.prices = LivePrices(LakePrices(lake), tail.state)
    app.state.running = [lake.run, tail.run, hub.run]
    app.state.metrics = Metrics(lake, hub)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    lake: Lake = app.state.lake
    await lake.refresh()
    tasks = [asyncio.create_task(run()) for run in app.state.running]
    for task in tasks:
        task.add_done_callback(_end_with)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        lake.close()


def _end_with(task: asyncio.Task[None]) -> None:
    """End the process when a part of it has failed: whoever started it starts anew."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.critical("the API stops", exc_info=error)
        signal.raise_signal(signal.SIGTERM)


def _serve_pages(app: FastAPI, settings: Settings) -> None:
    unknown = APIRouter(prefix="/api", include_in_schema=False)

    @unknown.get("/{path:path}")
    async def _unknown(request: Request) -> None:
        """Say in JSON that there is no such path, where a page would say it in HTML."""
        raise Refused(
            HTTPStatus.NOT_FOUND,
            f"There is no {request.url.path}",
            "/openapi.json lists every path",
        )

    app.include_router(unknown)
    data_docs = StaticFiles(directory=settings.data_docs, html=True, check_dir=False)
    # Validation writes them later, if it runs at all: until then, 404 and not an error.
    data_docs.config_checked = True
    app.mount("/quality", data_docs, name="data_docs")
    if (settings.api.dashboard / "index.html").exists():
        app.frontend("/", directory=settings.api.dashboard, check_dir=True)
        return

    @app.get("/", include_in_schema=False)
    async def _not_built() -> HTMLResponse:
        """Say which command builds the dashboard."""
        return HTMLResponse(_NOT_BUILT)


def _add_middleware(app: FastAPI, settings: Settings) -> None:
    """Add the innermost first."""
    app.add_middleware(LimitedBodies)
    app.add_middleware(
        KnownHosts,
        # An IPv6 address stands in brackets there.
        allowed=[f"[{h}]" if ":" in h else h for h in settings.api.allowed_hosts],
    )
    # Starlette puts its own around everything: a failure would go without headers.
    app.add_middleware(ServerErrorMiddleware, handler=on_error)
    app.add_middleware(MeasuredRequests, metrics=app.state.metrics)
    app.add_middleware(SecuredAnswers, policies=ContentPolicies(settings.api.dashboard))


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title,
            summary=app.summary,
            version=app.version,
            routes=app.routes,
        )
        _, found = models_json_schema(
            [(model, "serialization") for model in _COMPONENTS],
            ref_template="#/components/schemas/{model}",
        )
        schemas = schema["components"]["schemas"] | found["$defs"]
        schema["components"]["schemas"] = dict(sorted(schemas.items()))
        app.openapi_schema = schema
    return app.openapi_schema


def _operation_id(route: APIRoute) -> str:
    return route.name


def _version() -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return str(project["project"]["version"])
