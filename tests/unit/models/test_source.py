"""Notes are named by what our code does, not by how it is written down."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from models.source import digest_of

CODE = """
def cost(price):
    return price * 2
"""


def module(folder: Path, source: str) -> ModuleType:
    """Return a module of its own, whatever its source."""
    path = folder / f"m{len(list(folder.iterdir()))}.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.mark.parametrize(
    "same",
    [
        '"""What it costs."""\n' + CODE,
        CODE.replace("    return", '    """Return it."""\n    # twice\n    return'),
        CODE.replace("price * 2", "(\n        price * 2\n    )"),
    ],
)
def test_comments_and_docstrings_are_no_code(tmp_path: Path, same: str):
    assert digest_of(module(tmp_path, same)) == digest_of(module(tmp_path, CODE))


@pytest.mark.parametrize("change", ["price * 3", "2 * price", "'price'"])
def test_another_sum_is_other_code(tmp_path: Path, change: str):
    changed = module(tmp_path, CODE.replace("price * 2", change))
    assert digest_of(changed) != digest_of(module(tmp_path, CODE))
