"""`docs/howto/typed-streams.md` says what typed streams do: its code is run, and its table is made anew."""

import re
from typing import Any

from misuses import BEGIN, END, PAGE, arriving, table

TEXT = PAGE.read_text(encoding="utf-8")
CODE = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def test_the_table_says_what_happens() -> None:
    head, _, rest = TEXT.partition(BEGIN)
    assert rest.partition(END)[0] == table(), "run: python tests/support/misuses.py"
    assert head.endswith("handed out.\n\n")


async def test_the_code_of_the_page_works(capsys: Any) -> None:
    async def generate() -> Any:
        yield "Hel"
        yield "lo"

    names: dict[str, Any] = {"generate": generate, "__name__": "page"}
    for block in CODE:
        exec(block, names)
    data = b"".join([piece async for piece in names["answer"]()])
    await names["consume"](arriving(data))
    assert capsys.readouterr().out == "Hello"
