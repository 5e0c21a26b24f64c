"""Files of models, in a folder or on S3; each is seen whole or not at all."""

from pathlib import Path

from pyarrow import fs

from conf.lake.roots import absolute
from models import kept
from models.weights import Unacceptable


class Store:
    """Files below one place.

    Args:
        root: Folder or URI (``s3://bucket/path``).
        below: Folder in it.
    """

    def __init__(self, root: str, below: str) -> None:
        located = absolute(root)
        self._files, path = (
            fs.FileSystem.from_uri(located)
            if "://" in located
            else (fs.LocalFileSystem(), located)
        )
        self._folder = f"{path}/{below}"
        self._is_local = isinstance(self._files, fs.LocalFileSystem)

    def has(self, path: str) -> bool:
        """Return whether there is such a file."""
        found = self._files.get_file_info(f"{self._folder}/{path}")
        return bool(found.type == fs.FileType.File)

    def paths(self, folder: str) -> list[str]:
        """Return the files anywhere below a folder, relative to it, in order."""
        top = f"{self._folder}/{folder}"
        selector = fs.FileSelector(top, allow_not_found=True, recursive=True)
        found = self._files.get_file_info(selector)
        return sorted(
            info.path.removeprefix(f"{top}/")
            for info in found
            if info.type == fs.FileType.File
        )

    def read(self, path: str, most_bytes: int) -> bytes:
        """Return a file.

        Raises:
            OSError: It is not there, or cannot be read.
            Unacceptable: It is larger than it may be.
        """
        with self._files.open_input_stream(f"{self._folder}/{path}") as stream:
            data: bytes = stream.read(most_bytes + 1)
        if len(data) > most_bytes:
            raise Unacceptable(f"{path} has more than {most_bytes} bytes")
        return data

    def write(self, path: str, data: bytes) -> None:
        """Write a file so that a reader sees all of it or nothing."""
        target = f"{self._folder}/{path}"
        if self._is_local:
            kept.write(Path(target), data)
            return
        # An object on S3 appears when it is complete.
        with self._files.open_output_stream(target) as stream:
            stream.write(data)

    def remove(self, folder: str) -> None:
        """Delete a folder and all that is in it, if it is there."""
        top = f"{self._folder}/{folder}"
        if self._files.get_file_info(top).type == fs.FileType.Directory:
            self._files.delete_dir(top)
