"""Data Docs: what was found last, as pages that need nothing from anywhere else.

Great Expectations renders each validation result. Its pages load styles and scripts
from other hosts and link to pages that are not built: these are taken out, a small
style sheet takes their place, and the index is ours. The pages then work offline, and
under a policy that allows no script.
"""

import re
import shutil
from collections.abc import Iterable
from datetime import datetime
from html import escape
from pathlib import Path

from infra.quality.results import Verdict
from infra.quality.suites import render

_FOREIGN = re.compile(
    r"<script\b.*?</script>|<link\b[^>]*>|<img\b[^>]*>"
    r"|<footer\b.*?</footer>|url\(['\"]?https?://[^)]*\)| href=\"\.\./[^\"]*\"",
    re.S,
)
_OPENING = re.compile(r"</head>")
_STYLE = Path(__file__).with_name("docs.css")
_INDEX = """\
<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Tickhouse: Data Docs</title>
<meta name="viewport" content="width=device-width"><style>{style}</style></head>
<body><main><h1>Data Docs</h1>
<p>What validation found last in each table, {built}. The whole history is the table
<code>quality.results</code>.</p>
<table><thead><tr><th>suite</th><th>verdict</th><th>rules</th><th>failed</th>
<th>rows</th><th>versions</th></tr></thead><tbody>
{rows}
</tbody></table></main></body>
</html>
"""


def build(folder: Path, verdicts: Iterable[Verdict], now: datetime) -> Path:
    """Write the pages; a reader meets the old ones or the new ones, never half.

    Args:
        folder: Replaced as a whole.
        verdicts: The newest one of each suite.
        now: Wall clock, shown on the pages.

    Returns:
        The index.
    """
    style = _STYLE.read_text(encoding="utf-8")
    fresh, old = folder.with_suffix(".new"), folder.with_suffix(".old")
    for path in (fresh, old):
        shutil.rmtree(path, ignore_errors=True)
    fresh.mkdir(parents=True)
    listed = sorted(verdicts, key=lambda verdict: verdict.suite)
    for verdict in listed:
        if verdict.document is not None:
            rendered = render(verdict.document, verdict.suite, now)
            page = _page(rendered, style)
            (fresh / f"{verdict.suite}.html").write_text(page, encoding="utf-8")
    rows = "\n".join(map(_row, listed))
    index = _INDEX.format(style=style, built=f"{now:%Y-%m-%d %H:%M:%S} UTC", rows=rows)
    (fresh / "index.html").write_text(index, encoding="utf-8")
    if folder.exists():
        folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
    return folder / "index.html"


def _page(rendered: str, style: str) -> str:
    page = _FOREIGN.sub("", rendered)
    back = '<p><a href="index.html">All tables</a></p>'
    styled = _OPENING.sub(lambda _: f"<style>{style}</style></head>", page, count=1)
    return styled.replace("<body>", f"<body>{back}", 1)


def _row(verdict: Verdict) -> str:
    name = escape(verdict.suite)
    link = name if verdict.document is None else f'<a href="{name}.html">{name}</a>'
    state = "failed" if verdict.is_critical else "warning" if verdict.failed else "ok"
    rows = max((finding.rows_checked for finding in verdict.findings), default=0)
    span = "" if verdict.version is None else f"{verdict.after} to {verdict.version}"
    failed = "<br>".join(escape(finding.rule) for finding in verdict.failed)
    cells = (link, state, len(verdict.findings), failed, f"{rows:,}", span)
    return f'<tr class="{state}">' + "".join(f"<td>{c}</td>" for c in cells) + "</tr>"
