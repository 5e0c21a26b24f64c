"""What every answer tells the browser, and what no request may do."""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from http import HTTPStatus
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import problem
from conf.settings import variable

MAX_BODY_BYTES = 64 * 1024
_FOR_EVER = "public, max-age=31536000, immutable"
_ALWAYS_ASK = "no-cache"
_ADMITTED = "tickhouse.admitted"
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_POLICY = (
    "default-src 'self'; script-src 'self'{hashes}; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


class ContentPolicies:
    """The content security policy of each page of a built site.

    A static export starts itself by inline scripts. Each page allows exactly its own,
    by their hashes, and no others.

    Args:
        folder: The built site; read once.
    """

    def __init__(self, folder: Path) -> None:
        self._by_path = {
            _address(page.relative_to(folder)): _policy(page.read_text("utf-8"))
            for page in sorted(folder.rglob("*.html"))
        }
        self._other = self._by_path.get("/404", _policy(""))

    def of(self, path: str) -> str:
        """Return the policy of the page at a path, or of the one that is not found."""
        return self._by_path.get(path.rstrip("/") or "/", self._other)


class SecuredAnswers:
    """Middleware that adds the headers to every answer.

    Args:
        app: What answers.
        policies: Of the pages.
    """

    def __init__(self, app: ASGIApp, policies: ContentPolicies) -> None:
        self._app, self._policies = app, policies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers["Content-Security-Policy"] = self._policies.of(path)
                if not path.startswith("/api/"):
                    is_there = message["status"] == HTTPStatus.OK
                    headers.setdefault("Cache-Control", _caching(path, is_there))
            await send(message)

        await self._app(scope, receive, secured)


class KnownHosts:
    """Middleware that answers only where the API is asked for by one of its names.

    Args:
        app: What answers.
        allowed: Names, as Starlette's ``TrustedHostMiddleware`` takes them.
    """

    def __init__(self, app: ASGIApp, allowed: Sequence[str]) -> None:
        self._app = app
        self._guard = TrustedHostMiddleware(_admit, allowed, www_redirect=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        await self._guard(scope, receive, _unsaid)
        if scope.pop(_ADMITTED, False):
            await self._app(scope, receive, send)
            return
        host = Headers(scope=scope).get("host", "")
        detail = f"The API does not go by the name {host!r}"
        hint = f"Ask for 127.0.0.1, or add the name to {variable('api.allowed_hosts')}"
        refusal = problem(HTTPStatus.BAD_REQUEST, detail, hint)
        await refusal(scope, receive, send)


async def _admit(scope: Scope, _: Receive, __: Send) -> None:
    scope[_ADMITTED] = True


async def _unsaid(_: Message) -> None:
    """Drop Starlette's refusal, which has no hint."""


class LimitedBodies:
    """Middleware that refuses a request whose body is too long."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it before its body is read."""
        if scope["type"] == "http" and _is_too_long(scope):
            detail = f"The body is longer than {MAX_BODY_BYTES} bytes"
            refusal = problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)


class _InlineScripts(HTMLParser):
    """Collects the text of each script that is in the page itself."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.found: list[str] = []
        self._is_inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a script that has no address."""
        self._is_inside = tag == "script" and "src" not in dict(attrs)
        if self._is_inside:
            self.found.append("")

    def handle_data(self, data: str) -> None:
        """Take its text."""
        if self._is_inside:
            self.found[-1] += data

    def handle_endtag(self, tag: str) -> None:
        """End it."""
        self._is_inside = False


def _policy(page: str) -> str:
    return _POLICY.format(hashes="".join(f" '{digest}'" for digest in _hashes(page)))


def _hashes(page: str) -> Iterator[str]:
    parser = _InlineScripts()
    parser.feed(page)
    for script in dict.fromkeys(parser.found):
        digest = hashlib.sha256(script.encode()).digest()
        yield f"sha256-{base64.b64encode(digest).decode()}"


def _address(page: Path) -> str:
    """Return the path by which a page of the site is asked for."""
    named = page.parent if page.name == "index.html" else page.with_suffix("")
    return "/" + "/".join(named.parts)


def _caching(path: str, is_there: bool) -> str:
    # Next names these files by their content.
    return _FOR_EVER if is_there and path.startswith("/_next/static/") else _ALWAYS_ASK


def _is_too_long(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    if "transfer-encoding" in headers:
        return True  # of unknown length, and nothing that the API takes needs that
    length = headers.get("content-length", "0")
    return not length.isdecimal() or int(length) > MAX_BODY_BYTES
