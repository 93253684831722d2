"""Notices changes in a user's Python and TOML files by looking at their times.

The looks are cheap: a folder is listed again only when its own time has changed, which it does when a file in it comes,
goes or gets another name. Hidden folders, node_modules and installed packages are not entered.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

SUFFIXES = (".py", ".toml")
SKIPPED_FOLDERS = {"node_modules", "__pycache__", "site-packages"}

SETTLED_SECONDS = 1.0
"""A folder that changed more recently than this is listed again at the next look: its clock may be that coarse."""

Stamp = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Folder:
    time: int | None  # None: list it again
    folders: tuple[str, ...]
    files: tuple[str, ...]


class Watch:
    """The watched files below some folders.

    Args:
        folders: one inside another is watched once.
        clock: the time of day, as files have it.
    """

    def __init__(self, folders: Iterable[Path], clock: Callable[[], float] = time.time) -> None:
        paths = {str(folder.resolve()) for folder in folders}
        self._roots = sorted(path for path in paths if not any(_is_inside(path, other) for other in paths))
        self._clock = clock
        self._listed: dict[str, _Folder] = {}
        self._seen = self._look()

    def changed(self) -> str | None:
        """A file that changed, came or went since the last call, relative to its root; None when there is none."""
        before, self._seen = self._seen, self._look()
        if before == self._seen:
            return None
        path = min(path for path, _ in before.items() ^ self._seen.items())
        root = next(root for root in self._roots if _is_inside(path, root))
        return os.path.relpath(path, root)

    def _look(self) -> dict[str, Stamp]:
        stamps: dict[str, Stamp] = {}
        listed: dict[str, _Folder] = {}
        waiting = list(self._roots)
        while waiting:
            path = waiting.pop()
            try:
                listed[path] = folder = self._folder(path)
            except OSError:
                continue  # went away between two looks, or cannot be read
            waiting += folder.folders
            for file in folder.files:
                try:
                    status = os.stat(file)
                except OSError:
                    continue
                stamps[file] = status.st_mtime_ns, status.st_size
        self._listed = listed
        return stamps

    def _folder(self, path: str) -> _Folder:
        changed = os.stat(path).st_mtime_ns
        known = self._listed.get(path)
        if known is not None and known.time == changed:
            return known
        settled = self._clock() - changed / 1e9 > SETTLED_SECONDS
        with os.scandir(path) as entries:
            folders, files, names = [], [], set()
            for entry in entries:
                names.add(entry.name)
                if entry.is_dir(follow_symlinks=False):
                    if not entry.name.startswith(".") and entry.name not in SKIPPED_FOLDERS:
                        folders.append(entry.path)
                elif entry.name.endswith(SUFFIXES):
                    files.append(entry.path)
        if "pyvenv.cfg" in names:
            folders = []
        return _Folder(changed if settled else None, tuple(folders), tuple(files))


def _is_inside(path: str, folder: str) -> bool:
    return path != folder and path.startswith(os.path.join(folder, ""))
