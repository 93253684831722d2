"""An environment with torch and transformers, for the tests that run a real transformer.

The two are larger than everything else together, so they are not in `.venv`. The first call makes `.cache/transformers`
with them and with this headrace, in about a minute; later calls only look whether it is still what is asked for.
"""

import hashlib
from pathlib import Path

from environments import python_with
from served import REPOSITORY

PACKAGES = (
    *("torch==2.13.0", "transformers==5.23.*", "fastapi>=0.116,<1"),
    *("pytest>=9,<10", "pytest-asyncio>=1.3,<2", "hypothesis>=6.150,<7"),  # of tests that run there themselves
)


def transformers_python() -> Path:
    """The environment's interpreter."""
    project = hashlib.sha256((REPOSITORY / "pyproject.toml").read_bytes()).hexdigest()
    return python_with("transformers", "-e", str(REPOSITORY), *PACKAGES, wanted=project, updated=True)


def run_by(python: Path) -> tuple[str, ...]:
    """The `program` of a `Served` that this interpreter runs instead of the tests' own."""
    hand_over = f"import os, sys; os.execv({str(python)!r}, [{str(python)!r}, '-m', 'headrace', *sys.argv[1:]])"
    return ("-c", hand_over)
