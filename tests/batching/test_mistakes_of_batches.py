"""What `docs/reference/mistakes.md` says of batches is what is said: its examples are run."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from headrace.errors import WorkerLost

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "mistakes.md").read_text(encoding="utf-8")


def block(heading: str, language: str) -> str:
    section = re.split(r"\n##+ ", PAGE.partition(f"### {heading}\n")[2])[0]
    found = re.search(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def names_of(heading: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(block(heading, "python"), names)
    return names


async def test_the_texts_of_the_page_are_what_is_said() -> None:
    model = names_of("In a batch")["Model"]()
    told = [
        *await asyncio.gather(model.label("rain"), model.label(""), return_exceptions=True),
        *await asyncio.gather(anext(model.write("rain")), anext(model.write("snow")), return_exceptions=True),
        *await asyncio.gather(model.misuse(), return_exceptions=True),
    ]
    assert list(dict.fromkeys(map(str, told))) == block("In a batch", "text").splitlines()


async def test_the_text_on_continuous_batches_is_what_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    decode = names_of("In a continuous batch")["decode"]
    with pytest.raises(WorkerLost):
        async with asyncio.timeout(5):
            await anext(decode("rain"))
    (logged,) = caplog.records
    assert logged.exc_info is not None
    assert [str(logged.exc_info[1])] == block("In a continuous batch", "text").splitlines()
