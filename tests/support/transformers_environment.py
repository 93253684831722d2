"""An environment with torch and transformers, for the tests that run a real transformer.

The two are larger than everything else together, so they are not in `.venv`. The first call makes `.cache/transformers`
with them and with this headrace, in about a minute; later calls only look whether it is still what is asked for.
"""

import fcntl
import hashlib
import subprocess
import sys
import venv
from pathlib import Path

from served import REPOSITORY

FOLDER = REPOSITORY / ".cache" / "transformers"
PACKAGES = (
    *("torch==2.13.0", "transformers==5.23.*", "fastapi>=0.116,<1"),
    *("pytest>=9,<10", "pytest-asyncio>=1.3,<2", "hypothesis>=6.150,<7"),  # of tests that run there themselves
)
INSTALLS_WITHIN = 900  # seconds


def transformers_python(folder: Path = FOLDER) -> Path:
    """The environment's interpreter."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder.parent / ".gitignore").write_text("*\n")
    python, stamp = folder / "bin" / "python", folder / "headrace-stamp"
    project = (REPOSITORY / "pyproject.toml").read_bytes()
    wanted = f"{PACKAGES} {hashlib.sha256(project).hexdigest()} {folder} {sys.version}"
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of two test runs at once, one makes it and the other waits
        if not stamp.is_file() or stamp.read_text() != wanted:
            venv.create(folder, symlinks=True, with_pip=True)
            install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*install, "-e", str(REPOSITORY), *PACKAGES], check=True, timeout=INSTALLS_WITHIN)
            stamp.write_text(wanted)
    return python


def run_by(python: Path) -> tuple[str, ...]:
    """The `program` of a `Served` that this interpreter runs instead of the tests' own."""
    hand_over = f"import os, sys; os.execv({str(python)!r}, [{str(python)!r}, '-m', 'headrace', *sys.argv[1:]])"
    return ("-c", hand_over)
