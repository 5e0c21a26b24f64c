"""A copy of a lake at one instant, itself a lake: ``python -m conf.lake.backup``.

Of each table it holds the files of one version and the log up to it. Files never
change, so a second backup into the same folder copies only what is new. It is restored
by copying the folder back, see ``docs/how-to/back-up-and-restore.md``.
"""

import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from conf.lake.manifest import Cut, Manifest, pin, unpin
from conf.lake.roots import absolute, table_uri
from conf.lake.splits import splits_path
from conf.lake.tables import TABLES, TableContract
from conf.lake.versions import log_files, open_table


def back_up(root: str, target: Path, cut: Cut | None = None) -> Manifest:
    """Copy a lake at one instant, while others may write it.

    Args:
        root: The lake, a local folder.
        target: Folder of the copy; what it has already is not copied again.
        cut: Which versions, see ``conf.lake.manifest.tie``; by default the newest.

    Returns:
        What was copied.

    Raises:
        FixSetup: A version cannot be read any more.
    """
    name = f"backup-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
    manifest = pin(root, name, reason=f"backup to {target}", cut=cut)
    try:
        for table, version in manifest.versions.items():
            _copy_table(root, target, TABLES[table], version)
    finally:
        unpin(root, name)
    splits = Path(splits_path(root))
    if splits.exists():
        _copy(splits, target / splits.relative_to(absolute(root)))
    return manifest


def _copy_table(root: str, target: Path, contract: TableContract, version: int) -> None:
    source, copy = Path(table_uri(root, contract)), target / contract.path
    for uri in open_table(root, contract, version).file_uris():
        path = Path(uri)
        place = copy / path.relative_to(source)
        if not place.exists():
            _copy(path, place)
    # The log comes last: a copy that was interrupted shows nothing it does not have.
    for file in log_files(str(source)):
        digits = file.base_name[:20]
        if digits.isdecimal() and int(digits) <= version:
            with suppress(FileNotFoundError):  # too old to be needed, and tidied away
                _copy(
                    source / "_delta_log" / file.base_name,
                    copy / "_delta_log" / file.base_name,
                )


def _copy(source: Path, place: Path) -> None:
    """Copy a file with its time, which time travel goes by, whole or not at all."""
    place.parent.mkdir(parents=True, exist_ok=True)
    fresh = place.with_name(f".{place.name}.new")
    shutil.copy2(source, fresh)
    fresh.replace(place)


def main(
    root: Annotated[str, typer.Argument(help="The lake, such as var/lake.")],
    target: Annotated[Path, typer.Argument(help="Folder of the copy.")],
    as_of: Annotated[
        str | None, typer.Option(help="A time, a pin; else the newest rows.")
    ] = None,
) -> None:
    """Copy a lake at one instant."""
    for table, version in back_up(root, target, as_of).versions.items():
        typer.echo(f"{table} {version}")


if __name__ == "__main__":
    typer.run(main)
