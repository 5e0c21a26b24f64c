"""What holds for every answer: tags, errors, hosts, headers, the page itself."""

import base64
import hashlib
from pathlib import Path

import pytest

from tests.integration.api.markets import Api, Market, serving

LISTS = (
    "/api/v1/symbols",
    "/api/v1/trades",
    "/api/v1/quotes",
    "/api/v1/bars?symbol=AAPL",
    "/api/v1/stats",
    "/api/v1/stats?symbol=AAPL",
    "/api/v1/tables",
)


@pytest.mark.parametrize("path", LISTS)
async def test_what_a_client_has_is_not_sent_again(path: str, market: Market, api: Api):
    market.trade({})
    await api.look()
    tag = (await api.get(path)).headers["etag"]

    again = await api.get(path, if_none_match=f'"other", W/{tag}')

    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == tag


async def test_a_commit_or_another_query_changes_the_tag(market: Market, api: Api):
    before = (await api.get("/api/v1/trades")).headers["etag"]
    other = (await api.get("/api/v1/trades?limit=5")).headers["etag"]
    market.trade({})
    await api.look()

    after = await api.get("/api/v1/trades", if_none_match=before)

    assert after.status_code == 200
    assert len({before, other, after.headers["etag"]}) == 3


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/api/v1/trades?limit=0", "limit"),
        ("/api/v1/trades?limt=5", "limt"),
        ("/api/v1/trades?start=2026-11-23T14:30:00", "start"),
        ("/api/v1/trades?symbol=aapl", "symbol"),
        ("/api/v1/trades?cursor=no", "next_cursor of this list"),
        ("/api/v1/bars", "symbol"),
        ("/api/v1/bars?symbol=AAPL&cursor=WyJBIl0", "next_cursor of this list"),
        ("/api/v1/stats?window=7m", "window"),
    ],
)
async def test_a_wrong_question_is_a_problem_with_a_hint(
    path: str, said: str, api: Api
):
    answer = await api.get(path)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert set(problem) == {"type", "title", "status", "detail", "hint"}
    assert said in problem["detail"]
    assert problem["hint"].startswith("Correct ")


@pytest.mark.parametrize("path", ["/api/v1/nope", "/api/nope", "/api/", "/nope"])
async def test_an_unknown_path_is_said_in_json(path: str, api: Api):
    answer = await api.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert path in answer.json()["detail"]


async def test_the_api_is_read_only(api: Api):
    answer = await api.request("POST", "/api/v1/trades")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert answer.json()["hint"] == "The API is read-only: use GET"


@pytest.mark.parametrize("size", [64 * 1024, 64 * 1024 + 1])
async def test_a_long_body_is_refused_before_it_is_read(size: int, api: Api):
    answer = await api.request("GET", "/health", content=b"x" * size)
    assert answer.status_code == (413 if size > 64 * 1024 else 200)


async def test_a_body_of_unknown_length_is_refused(api: Api):
    async def endless():
        yield b"x"

    answer = await api.request("GET", "/health", content=endless())
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200),
        ("localhost", 200),
        ("[::1]:8000", 200),
        ("evil.example", 400),
        ("127.0.0.1.evil.example", 400),
        ("", 400),
    ],
)
async def test_only_our_own_hosts_are_answered(host: str, status: int, api: Api):
    assert (await api.get("/health", host=host)).status_code == status


async def test_a_foreign_host_is_told_what_to_do(api: Api):
    answer = await api.get("/health", host="lake.example:8000")

    assert answer.headers["content-type"] == "application/problem+json"
    assert "'lake.example:8000'" in answer.json()["detail"]
    assert "TICKHOUSE_API__ALLOWED_HOSTS" in answer.json()["hint"]


async def test_a_fault_of_ours_is_a_guarded_problem(api: Api):
    del api.app.state.lake

    answer = await api.get("/api/v1/trades")

    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.json()["detail"].startswith("AttributeError while answering")


@pytest.mark.parametrize("path", ["/", "/health", "/api/v1/trades", "/api/nope"])
@pytest.mark.parametrize("host", ["127.0.0.1", "evil.example"])
async def test_every_answer_is_guarded(path: str, host: str, api: Api):
    headers = (await api.get(path, host=host)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    policy = headers["content-security-policy"].split("; ")
    assert "frame-ancestors 'none'" in policy
    assert "object-src 'none'" in policy
    assert "connect-src 'self'" in policy
    assert "script-src 'self'" in policy


async def test_without_a_dashboard_the_page_says_how_to_build_it(api: Api):
    answer = await api.get("/")
    assert answer.status_code == 200
    assert "make dashboard" in answer.text


@pytest.fixture
def dashboard(market: Market) -> Path:
    """A built site of two pages and a missing one, as Next exports it."""
    folder = market.settings.api.dashboard
    pages = {
        "index.html": "<script>first()</script><script src='/_next/static/a.js'>"
        "</script>",
        "model/index.html": "<script>second()</script>",
        "404.html": "<h1>Not here</h1>",
        "_next/static/a.js": "first = () => 1",
    }
    for name, text in pages.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def allowed(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"script-src 'self' 'sha256-{base64.b64encode(digest).decode()}'"


async def test_each_page_allows_its_own_scripts_only(market: Market, dashboard: Path):
    async with serving(market.settings) as api:
        first, second = await api.get("/"), await api.get("/model/")
        missing = await api.get("/nope/")
        unknown = await api.get("/api/nope")

    policies = [
        a.headers["content-security-policy"].split("; ") for a in (first, second)
    ]
    assert allowed("first()") in policies[0]
    assert allowed("second()") in policies[1]
    assert "<h1>Not here" in missing.text
    assert missing.status_code == 404
    assert "script-src 'self'" in missing.headers["content-security-policy"].split("; ")
    assert unknown.headers["content-type"] == "application/problem+json"


async def test_files_named_by_content_are_kept_for_ever(
    market: Market, dashboard: Path
):
    async with serving(market.settings) as api:
        named = await api.get("/_next/static/a.js")
        gone = await api.get("/_next/static/b.js")
        page = await api.get("/")

    assert "immutable" in named.headers["cache-control"]
    assert gone.headers["cache-control"] == page.headers["cache-control"] == "no-cache"
    assert dashboard.exists()


async def test_an_empty_lake_says_why(api: Api):
    answer = (await api.get("/api/v1/trades")).json()
    ready = await api.get("/ready")

    assert (answer["items"], answer["table_version"]) == ([], "0")
    assert "no rows yet" in answer["hint"]
    assert (ready.status_code, ready.json()["status"]) == (503, "starting")
    states = {d["name"]: d["state"] for d in ready.json()["dependencies"]}
    assert (states["lake"], states["silver.trades"]) == ("ok", "empty")


@pytest.mark.parametrize("path", LISTS)
async def test_a_lake_that_is_not_there_says_why(path: str, tmp_path: Path):
    async with serving(Market(tmp_path).settings) as api:
        answer = await api.get(path)
        ready = (await api.get("/ready")).json()

    assert answer.status_code == 200
    if path != "/api/v1/tables":
        assert answer.json()["items"] == []
        assert "make run" in answer.json()["hint"]
    assert ready["dependencies"][0]["state"] == "missing"


async def test_no_row_that_matches_is_told_from_no_rows(market: Market, api: Api):
    market.trade({})
    await api.look()
    answer = (await api.get("/api/v1/trades?symbol=NONE")).json()
    assert answer["hint"].startswith("No row of silver.trades matches")


async def test_readiness_names_what_is_old(market: Market, api: Api):
    market.trade({})
    market.quote({})
    await api.look()
    ready = await api.get("/ready")

    found = {d["name"]: d for d in ready.json()["dependencies"]}
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert found["silver.trades"]["state"] == "ok"
    assert found["silver.trades"]["age_s"] < 15
    assert found["silver.bars"]["state"] == "empty"


async def test_tables_tell_contract_and_contents(market: Market, api: Api):
    market.trade({}, {"at": 1})
    await api.look()
    tables = {t["name"]: t for t in (await api.get("/api/v1/tables")).json()["items"]}

    trades = tables["silver.trades"]
    assert (trades["version"], trades["rows"], trades["files"]) == (1, 2, 1)
    assert trades["key"] == ["symbol", "exchange", "trade_id", "event_time_ns"]
    assert trades["columns"][0]["name"] == "event_time"
    assert tables["silver.quotes"]["rows"] == 0


async def test_metrics_count_requests_by_route(market: Market, api: Api):
    market.trade({})
    await api.look()
    await api.get("/api/v1/trades?symbol=AAPL")
    await api.get("/wp-admin")
    text = (await api.get("/metrics")).text

    count = 'tickhouse_api_request_seconds_count{method="GET",path='
    assert f'{count}"/api/v1/trades",status="200"}} 1.0' in text
    assert f'{count}"other",status="404"}} 1.0' in text
    assert 'tickhouse_table_version{table="silver.trades"} 1.0' in text
    assert "tickhouse_stream_clients 0.0" in text


async def test_data_docs_are_served_once_they_are_there(market: Market, api: Api):
    assert (await api.get("/quality/")).status_code == 404
    folder = market.settings.data_docs
    folder.mkdir(parents=True)
    (folder / "index.html").write_text("<h1>Data Docs</h1>")

    page = await api.get("/quality/")

    assert (page.status_code, page.text) == (200, "<h1>Data Docs</h1>")
    assert page.headers["content-type"].startswith("text/html")
    assert "script-src 'self';" in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-cache"
