"""Environments for the tests of programs that are not headrace's own: made once in `.cache`, then kept.

The first call makes one; later calls only look whether it is still what is asked for. Of two test runs at once, one
makes it and the other waits.
"""

import fcntl
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

from programs import needed
from served import REPOSITORY

CACHE = REPOSITORY / ".cache"
INSTALLS_WITHIN = 900  # seconds
PIP = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")


def python_with(name: str, *packages: str, wanted: str = "", updated: bool = False) -> Path:
    """The interpreter of an environment with these packages.

    Args:
        name: of its folder.
        packages: as pip takes them.
        wanted: whatever else makes it another one when it changes.
        updated: whether pip then changes what is there, which is quicker where that is large, but may leave more in it.
    """
    python = CACHE / name / "bin" / "python"

    def make(folder: Path) -> None:
        venv.create(folder, symlinks=True, with_pip=True)
        subprocess.run([str(python), *PIP, *packages], check=True, timeout=INSTALLS_WITHIN)

    made_once(CACHE / name, f"{packages} {sys.version} {wanted}", make, updated=updated)
    return python


def node_with(name: str, *packages: str) -> Path:
    """A folder whose `node_modules` has these packages of npm, without those that they can do without."""
    npm = needed("npm", "nodejs npm")

    def make(folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text('{"private": true, "type": "module"}\n')
        install = [npm, "install", "--silent", "--no-audit", "--no-fund", "--omit=optional", "--ignore-scripts"]
        subprocess.run([*install, *packages], check=True, timeout=INSTALLS_WITHIN, cwd=folder)

    made_once(CACHE / name, str(packages), make)
    return CACHE / name


def made_once(folder: Path, wanted: str, make: Callable[[Path], None], *, updated: bool = False) -> None:
    """Makes a folder unless it is there as it is wanted; otherwise what was there is gone before, or is updated."""
    CACHE.mkdir(exist_ok=True)
    (CACHE / ".gitignore").write_text("*\n")
    stamp = folder / "headrace-stamp"
    with (CACHE / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.is_file() and stamp.read_text() == wanted:
            return
        if updated:
            stamp.unlink(missing_ok=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
        make(folder)
        stamp.write_text(wanted)
