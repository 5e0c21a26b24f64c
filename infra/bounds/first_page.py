"""What proves the API and the page."""

from infra.bounds.model import Bound, Run, faultless, percentile, smoke

PAGE = Run(
    "smoke-page",
    smoke("--page"),
    (
        faultless("smoke-page", "4,096/s, 300 s, the page open in Chromium"),
        Bound("smoke-page-broken", "smoke-page: broken bounds", ("broken",), 0),
        percentile("smoke-page", "silver", "p99", 5.0),
        percentile("smoke-page", "gold", "p99", 5.0),
        percentile("smoke-page", "tail", "p50", 0.6),
        percentile("smoke-page", "tail", "p95", 1.0),
        Bound(
            "smoke-page-differences",
            "smoke-page: streamed numbers that are not the table's",
            ("tail_differences",),
            0,
        ),
    ),
)

WALK = Run(
    "page-walk",
    ("python", "-m", "infra.local.page"),
    (
        Bound(
            "page-walk-failures",
            "a browser walks the page, the API is killed under it: failed steps",
            ("failures",),
            0,
        ),
        Bound("page-walk-shift", "page-walk: layout shift", ("cls",), 0.1),
    ),
)

PAGE_MEMORY = Run(
    "page-memory",
    ("python", "-m", "infra.local.page", "--rate=500", "--memory-minutes=10"),
    (
        Bound(
            "page-memory",
            "heap of the open page, growth after 10 minutes",
            ("memory.mb_per_10_minutes",),
            1.0,
            "MB/10 min",
        ),
    ),
)

API_QUERIES = Run(
    "api-queries",
    ("python", "-m", "tests.load.api_queries"),
    (
        Bound(
            "api-newest-trades",
            "newest 100 trades of a symbol, 14.7 million rows and 4,096/s more: p95",
            ("newest_trades_ms.p95",),
            30.0,
            "ms",
        ),
        Bound(
            "api-newest-quotes",
            "api-queries: newest 100 quotes of a symbol: p95",
            ("newest_quotes_ms.p95",),
            30.0,
            "ms",
        ),
        Bound(
            "api-newest-beside-group-by",
            "api-queries: newest 100 trades of a symbol beside the group-by: p95",
            ("newest_trades_beside_group_by_ms.p95",),
            None,
            "ms",
        ),
        Bound(
            "api-group-by",
            "api-queries: group-by over the day so far: p95",
            ("group_by_ms.p95",),
            300.0,
            "ms",
        ),
    ),
)

PAGE_SIZE = Run(
    "page-size",
    ("node", "dashboard/scripts/size.mjs"),
    (
        Bound(
            "page-size", "JavaScript of the main page, gzipped", ("js_kb",), 230, "kB"
        ),
    ),
)

RUNS = (PAGE, WALK, PAGE_MEMORY, API_QUERIES, PAGE_SIZE)
