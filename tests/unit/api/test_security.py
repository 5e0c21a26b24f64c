import base64
import hashlib
from pathlib import Path

import pytest

from api.security import ContentPolicies


def digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def scripts_of(policies: ContentPolicies, path: str) -> str:
    parts = policies.of(path).split("; ")
    return next(part for part in parts if part.startswith("script-src"))


@pytest.mark.parametrize(
    ("page", "hashed"),
    [
        ("<script>a('<b>&amp;')</script>", ["a('<b>&amp;')"]),
        ("<SCRIPT id=x>\n a \n</SCRIPT><p>no</p><script>b</script>", ["\n a \n", "b"]),
        ("<script>same</script><script>same</script>", ["same"]),
        ('<script async src="/a.js"></script><p>text</p>', []),
        ("<p onclick='bad()'>", []),
    ],
)
def test_the_scripts_in_a_page_are_allowed_by_hash(
    page: str, hashed: list[str], tmp_path: Path
):
    (tmp_path / "index.html").write_text(page)
    hashes = "".join(f" 'sha256-{digest(script)}'" for script in hashed)
    assert scripts_of(ContentPolicies(tmp_path), "/") == f"script-src 'self'{hashes}"


def test_a_page_is_known_by_the_path_that_it_is_asked_by(tmp_path: Path):
    for name in ("index.html", "model/index.html", "about.html", "404.html"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"<script>{name}</script>")
    policies = ContentPolicies(tmp_path)
    for path, name in {
        "/": "index.html",
        "/model": "model/index.html",
        "/model/": "model/index.html",
        "/about": "about.html",
        "/nope": "404.html",
    }.items():
        assert digest(name) in scripts_of(policies, path)


def test_without_a_built_site_no_inline_script_is_allowed(tmp_path: Path):
    assert scripts_of(ContentPolicies(tmp_path / "none"), "/") == "script-src 'self'"
