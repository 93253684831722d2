"""What `docs/reference/mistakes.md` says of batches is what is said: its example is run."""

import asyncio
import re
from pathlib import Path
from typing import Any

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "mistakes.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("### In a batch\n")[2].partition("\n## ")[0]


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


async def test_the_texts_of_the_page_are_what_is_said() -> None:
    names: dict[str, Any] = {}
    exec(block("python"), names)
    model = names["Model"]()
    told = [
        *await asyncio.gather(model.label("rain"), model.label(""), return_exceptions=True),
        *await asyncio.gather(anext(model.write("rain")), anext(model.write("snow")), return_exceptions=True),
        *await asyncio.gather(model.misuse(), return_exceptions=True),
    ]
    assert list(dict.fromkeys(map(str, told))) == block("text").splitlines()
