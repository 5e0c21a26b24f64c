"""The page in a real browser, beside a pipeline: held open, or walked.

``python -m infra.local.page`` runs a pipeline on a var folder of its own, lets a
browser walk the page, kills the API under it, and prints what the walk found as JSON.
"""

import shutil
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from conf import logs
from conf.errors import FixSetup
from conf.settings import ROOT, Settings, load
from infra.local.services import API
from infra.local.state import ApiStatus, read, run_folder, settled_in
from infra.local.supervisor import Pipeline

DASHBOARD = ROOT / "dashboard"
RATE_PER_S = 4096
_INSTALL = {
    "node": "apt install nodejs npm",
    "chromium": "apt install chromium",
    "playwright-core": "cd dashboard && npm ci",
    "dashboard": "make dashboard",
}


class Page(msgspec.Struct, frozen=True):
    """What a page that was held open says of itself.

    Attributes:
        symbols: Rows of prices at the end.
        cls: Cumulative layout shift.
        csp_violations: What the content policy refused.
        console_errors: What the browser's console showed as errors.
    """

    symbols: int
    cls: float
    csp_violations: list[str]
    console_errors: list[str]

    @property
    def complaints(self) -> list[str]:
        """Return one sentence for each thing that is wrong with it."""
        refused = [f"the page was refused {what}" for what in self.csp_violations]
        errors = [f"the page's console says {what}" for what in self.console_errors]
        empty = [] if self.symbols else ["the page shows no prices"]
        return [*empty, *refused, *errors]


def require_browser() -> None:
    """Go on only if a browser can open the built page.

    Raises:
        FixSetup: Something is missing; it names the first one.
    """
    is_there = {
        "node": shutil.which("node"),
        "chromium": shutil.which("chromium") or shutil.which("google-chrome"),
        "playwright-core": (DASHBOARD / "node_modules" / "playwright-core").exists(),
        "dashboard": (DASHBOARD / "out" / "index.html").exists(),
    }
    for name, found in is_there.items():
        if not found:
            raise FixSetup("the page in a browser", f"no {name}", _INSTALL[name])


def holding(api: Path, out: Path) -> list[str]:
    """Return the command that holds the page open until SIGTERM.

    Args:
        api: State file of the API; it is waited for.
        out: Gets a ``Page``.
    """
    script = str(DASHBOARD / "e2e" / "hold.mjs")
    return ["node", script, "--api", str(api), "--out", str(out)]


def walk(settings: Settings, *options: str, kill_api: bool) -> dict[str, Any]:
    """Run a pipeline, walk its page, drain it; return the walk's result.

    Args:
        settings: What to run.
        options: Of ``dashboard/e2e/walk.mjs``.
        kill_api: Kill the API under the open page; the supervisor starts it again.

    Raises:
        FixSetup: There is no browser, or the pipeline cannot run.
    """
    require_browser()
    with Pipeline(settings) as pipeline:
        pipeline.launch()
        pipeline.until_gold()
        api = read(run_folder(settings) / "api.json", ApiStatus)
        if api is None or api.url is None:
            raise FixSetup("API", "does not answer", "See api.log")
        if kill_api:
            options = (*options, "--restart", f"kill -9 {pipeline.pid(API)}")
        return _walk(["--url", api.url, *options])


def _walk(options: Sequence[str]) -> dict[str, Any]:
    script = str(DASHBOARD / "e2e" / "walk.mjs")
    done = subprocess.run(  # noqa: S603 (our own script)
        ["node", script, *options],  # noqa: S607
        stdout=subprocess.PIPE,
        check=False,
        cwd=DASHBOARD,
    )
    sys.stderr.write(done.stdout.decode())
    found: dict[str, Any] = msgspec.json.decode(done.stdout.splitlines()[-1])
    return found


def main() -> int:
    """Print the result; return the exit code: 0 if nothing failed."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=RATE_PER_S)
    parser.add_argument(
        "--memory-minutes", type=int, default=0, help="Measured after as many"
    )
    parser.add_argument("--keep-api", action="store_true", help="Do not kill the API")
    given = parser.parse_args()
    chosen = load()
    logs.configure("page", level=chosen.log_level)
    var = chosen.var / "page"
    shutil.rmtree(var, ignore_errors=True)
    market = chosen.simulator.model_copy(update={"rate_per_s": given.rate})
    settings = settled_in(chosen, var).model_copy(update={"simulator": market})
    minutes = ("--memory-minutes", str(given.memory_minutes))
    result = walk(settings, *minutes, kill_api=not given.keep_api)
    if result["passed"]:
        shutil.rmtree(var)
    sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
    return 0 if result["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
