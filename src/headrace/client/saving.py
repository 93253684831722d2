"""A stream into a file that is there when it is whole, and not before.

It is written beside its place under a name of its own and renamed at the end, so that no failed stream leaves a file
that looks like a complete one, and what stood there before stays until then.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self


class Saving:
    """Writes text and bytes. Leaving the block without an error renames the file; with one removes it."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._beside = self._path.with_name(f".{self._path.name[:100]}.{secrets.token_hex(4)}.part")
        self._file: BinaryIO

    def __enter__(self) -> Self:
        self._file = self._beside.open("xb")
        return self

    def write(self, items: Iterable[Any]) -> None:
        """Writes as the items are; text as UTF-8.

        Raises:
            TypeError: an item is neither text nor bytes.
        """
        for item in items:
            if isinstance(item, str):
                self._file.write(item.encode())
            elif isinstance(item, (bytes, bytearray, memoryview)):
                self._file.write(item)
            else:
                raise TypeError(f"a file takes text or bytes and the item is {type(item).__name__}; use collect()")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        whole = False
        try:
            self._file.close()
            if kind is None:
                self._beside.replace(self._path)
                whole = True
        finally:
            if not whole:
                with contextlib.suppress(FileNotFoundError):
                    self._beside.unlink()
