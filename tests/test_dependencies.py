"""The base install stays small, and docs/design/dependencies.md says all of it.

Walks the metadata of the installed packages from headrace's own requirements, without extras.
"""

import re
import tomllib
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
LIMIT = 24

# A row of one of the page's tables begins with a package's name.
_ROW = re.compile(r"^\| ([a-z0-9-]+) \| (?:\d+|[a-z0-9, -]+) \| ", re.MULTILINE)


def _required(package: str) -> set[str]:
    """What a package needs on this platform without extras."""
    found = [Requirement(text) for text in requires(package) or []]
    return {canonicalize_name(each.name) for each in found if not each.marker or each.marker.evaluate({"extra": ""})}


def _installed() -> set[str]:
    """Every package that `pip install headrace` brings."""
    seen: set[str] = set()
    waiting = _required("headrace")
    while waiting:
        package = waiting.pop()
        seen.add(package)
        waiting |= _required(package) - seen
    return seen


def _page() -> str:
    return (ROOT / "docs" / "design" / "dependencies.md").read_text(encoding="utf-8")


def _documented() -> list[str]:
    return [name for name in _ROW.findall(_page()) if name != "package"]


def test_the_base_install_is_at_most_24_packages() -> None:
    assert len(_installed()) <= LIMIT


def test_the_page_has_a_row_for_every_dependency_of_pyproject() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    direct = [canonicalize_name(Requirement(text).name) for text in project["dependencies"]]
    assert _documented()[: len(direct)] == direct


def test_the_page_has_a_row_for_every_package_that_comes_along() -> None:
    # Another Python or platform may need fewer; none may need more.
    assert sorted(_installed() - set(_documented())) == []


def test_the_page_has_no_package_twice_and_counts_them_right() -> None:
    names = _documented()
    assert len(names) == len(set(names))
    assert f"Together they are {len(names)} packages" in _page()
