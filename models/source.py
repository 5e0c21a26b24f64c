"""What our own code is, comments and docstrings apart: notes are named by it."""

import ast
import hashlib
import inspect
from types import ModuleType


def digest_of(*modules: ModuleType) -> str:
    """Return the SHA-256 of what some modules do.

    Other comments, docstrings and line breaks are the same code.
    """
    known = hashlib.sha256()
    for module in modules:
        known.update(_meaning(inspect.getsource(module)).encode())
    return known.hexdigest()


def _meaning(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [line for line in body if not _is_text(line)]  # type: ignore[attr-defined]
    return ast.dump(tree)


def _is_text(line: ast.stmt) -> bool:
    is_value = isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant)
    return is_value and isinstance(line.value.value, str)  # type: ignore[attr-defined]
