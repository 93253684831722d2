"""`docs/howto/batching.md` says what batched functions do: its code is run, and prints what stands below it."""

import contextlib
import io
import re
from pathlib import Path

import pytest

from headrace.services.definition import define

PAGE = (Path(__file__).parent.parent.parent / "docs" / "howto" / "batching.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("code", "printed"), BLOCKS, ids=["batch", "continuous", "arguments", "costs", "service"])
def test_an_example_prints_what_stands_below_it(code: str, printed: str) -> None:
    names: dict[str, object] = {"__name__": "page"}
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(code, "docs/howto/batching.md", "exec"), names)
    if printed:
        assert output.getvalue() == printed
    if service := names.get("Chat"):
        assert define(service).endpoints  # type: ignore[arg-type]


def test_every_slot_attribute_of_the_page_exists() -> None:
    from headrace.batching import Slot

    rows = re.findall(r"^\| (`[^|]*`) \|", PAGE.partition("| of a slot |")[2].partition("###")[0], re.MULTILINE)
    names = [name for row in rows for name in re.findall(r"`(\w+)", row)]
    assert names == ["request", "state", "send", "finish", "fail", "cancelled", "paused", "id"]
    assert all(hasattr(Slot, name) for name in names)
