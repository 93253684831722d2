"""Programs that tests need and a machine may lack."""

import os
import shutil

import pytest


def needed(program: str, package: str) -> str:
    """Where a program is. Without it a test is skipped, but in CI and with `HEADRACE_REQUIRE_BROWSER` it fails.

    Args:
        program: its name.
        package: the one of Debian that brings it.
    """
    found = shutil.which(program)
    if found is None:
        why = f"there is no {program}: apt-get install {package}"
        if os.environ.get("HEADRACE_REQUIRE_BROWSER") or os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    return found
