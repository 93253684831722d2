"""`docs/howto/composition.md` is one program: its blocks, one after the other, are run."""

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from composed import composed

from headrace.errors import ConnectionFailed
from headrace.services.decorators import Bound
from headrace.services.definition import define
from headrace.services.overrides import configured

PAGE = (Path(__file__).parent.parent.parent / "docs" / "howto" / "composition.md").read_text(encoding="utf-8")
PROGRAM = "\n".join(re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))


@pytest.fixture
def page(written: Callable[[str], ModuleType]) -> ModuleType:
    return written(PROGRAM)


async def read(target: Any, name: str, *arguments: Any) -> list[Any]:
    async with composed(target) as running:
        return [item async for item in getattr(running.handle, name)(*arguments)]


async def test_the_first_example_sings(page: ModuleType) -> None:
    assert await read(page.Poet, "sing", "rain") == ["rain 0\n", "rain 1\n", "rain 2\n"]


async def test_bind_and_set_reach_what_it_depends_on(page: ModuleType) -> None:
    assert await read(page.small, "sing", "rain") == ["rain 0\n"]
    assert await read(configured(Bound(page.Poet), {"Words.size": "1"}), "sing", "rain") == ["rain 0\n"]


async def test_the_unit_test_passes(page: ModuleType) -> None:
    await page.test_a_plain_object_takes_its_place()


async def test_calls_run_together(page: ModuleType) -> None:
    async with composed(page.Chorus) as running:
        assert await running.handle.together(["rain", "snow"]) == ["rain 0", "snow 0"]


async def test_a_typed_stream_is_taken_apart(page: ModuleType) -> None:
    assert await read(page.Listener, "listen", b"hello") == ["en", "hello", "sure: 0.9"]


async def test_sync_code_calls(page: ModuleType) -> None:
    assert await read(page.Slow, "sing", "rain") == ["RAIN 0", "RAIN 1", "RAIN 2"]


async def test_an_error_is_caught(page: ModuleType) -> None:
    class Broken(page.Words):  # type: ignore[name-defined, misc]
        @page.endpoint  # type: ignore[untyped-decorator]
        async def write(self, topic: str) -> Any:
            yield topic
            raise RuntimeError

    Broken.write.__annotations__["return"] = page.AsyncIterator[str]
    assert await read(page.Careful.bind(words=page.service(Broken).bind()), "sing", "rain") == ["rain", "..."]


async def test_a_service_elsewhere_need_not_be_there_at_the_start(page: ModuleType) -> None:
    async with composed(page.distributed) as running:
        assert define(page.distributed).dependencies[0].bound.url == "http://127.0.0.1:8001"
        assert running.runtime.ready


def test_a_service_that_cannot_be_reached_is_what_the_page_says() -> None:
    assert (ConnectionFailed.status, ConnectionFailed.code, ConnectionFailed.retryable) == (
        502,
        "connection_failed",
        True,
    )
