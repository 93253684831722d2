"""A real browser, and the example `speak` for it to visit.

Without Chromium the tests are skipped, so that everybody can run the others; with HEADRACE_REQUIRE_BROWSER, and where
CI is set, they fail instead. Debian has it: apt-get install chromium fonts-dejavu-core.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, sync_playwright
from served import REPOSITORY, Served
from serving import serving
from visit import INSECURE, Visit

HERE = Path(__file__).parent

ARGUMENTS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    f"--host-resolver-rules=MAP {INSECURE} 127.0.0.1",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("e2e")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    """Chromium with a profile of its own. It belongs to one file: its event loop would disturb asynchronous tests."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        why = "there is no Chromium: apt-get install chromium fonts-dejavu-core"
        if os.environ.get("HEADRACE_REQUIRE_BROWSER") or os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(tmp_path_factory.mktemp("profile")),
            executable_path=program,
            headless=True,
            args=ARGUMENTS,
            viewport={"width": 900, "height": 820},
        )
        yield context
        context.close()


SPEAKER = ("tests/browser/watched.py", "--drain", "0.5", "--allowed-host", "127.0.0.1", "--allowed-host", INSECURE)
ENVIRONMENT = {"PYTHONPATH": os.pathsep.join([str(REPOSITORY / "examples"), os.environ.get("PYTHONPATH", "")])}


@pytest.fixture(scope="module")
def speaker() -> Iterator[Served]:
    """The server that all tests of a file visit."""
    with serving(*SPEAKER, environment=ENVIRONMENT) as served:
        yield served
    assert "Traceback" not in "".join(served.output)


@pytest.fixture
def passing_speaker() -> Iterator[Served]:
    """A server for a test that ends it."""
    served = Served("run", *SPEAKER, "--port", "0", environment=ENVIRONMENT).ready()
    yield served
    served.stop()


@pytest.fixture
def slow_speaker() -> Iterator[Served]:
    """A server whose voice needs longer for a sentence than the sentence takes to say."""
    with serving(*SPEAKER, "--set", "Watched.slow=1.2", environment=ENVIRONMENT) as served:
        yield served


@pytest.fixture
def new_page(browser: BrowserContext) -> Iterator[Callable[[], Page]]:
    """Makes empty pages; at the end of the test all are closed."""
    pages: list[Page] = []

    def make() -> Page:
        pages.append(browser.new_page())
        return pages[-1]

    yield make
    for page in pages:
        page.close()


@pytest.fixture
def arrive(new_page: Callable[[], Page]) -> Callable[..., Visit]:
    """Opens the page of a server, given as for `Visit`."""

    def open_page(served: Served, **options: Any) -> Visit:
        visit = Visit(new_page(), served, **options)
        visit.open()
        return visit

    return open_page


@pytest.fixture
def visit(speaker: Served, arrive: Callable[..., Visit]) -> Iterator[Visit]:
    """A visit in which the browser has nothing to complain about."""
    visit = arrive(speaker)
    yield visit
    assert visit.problems == []
