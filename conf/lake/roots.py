"""Where a table is: the lake's root as an absolute URI or folder."""

from conf.lake.tables import TableContract
from conf.settings import ROOT


def absolute(location: str) -> str:
    """Return ``location`` as an absolute folder, or as the URI of another store.

    A relative folder is relative to the checkout, whatever the working directory;
    ``file://`` names a local folder.
    """
    location = location.removeprefix("file://")
    if "://" in location:
        return location.rstrip("/")
    return str(ROOT / location)


def table_uri(root: str, contract: TableContract) -> str:
    """Return the URI of one table below the lake's root."""
    return f"{absolute(root)}/{contract.path}"
