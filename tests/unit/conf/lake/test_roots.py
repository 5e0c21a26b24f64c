"""Where tables are: the same place from any working directory."""

from pathlib import Path

import pytest

from conf.lake.roots import absolute, table_uri
from conf.lake.tables import TRADES
from conf.settings import ROOT


def test_a_relative_root_is_in_the_checkout_wherever_the_process_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)

    assert absolute("var/lake") == str(ROOT / "var" / "lake")


def test_an_absolute_folder_stays(tmp_path: Path):
    assert absolute(str(tmp_path)) == str(tmp_path)
    assert table_uri(str(tmp_path), TRADES) == str(tmp_path / "silver" / "trades")


def test_a_file_uri_is_a_local_folder(tmp_path: Path):
    assert absolute(f"file://{tmp_path}") == str(tmp_path)


@pytest.mark.parametrize("root", ["s3://bucket/lake", "s3://bucket/lake/"])
def test_a_uri_stays_and_joins_with_one_slash(root: str):
    assert table_uri(root, TRADES) == "s3://bucket/lake/silver/trades"
