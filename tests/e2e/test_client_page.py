"""The programs on the client's page run, and the names in its tables are there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from served import REPOSITORY, Serve

from headrace.client.conversation import AsyncConversation
from headrace.client.conversation_sync import Conversation
from headrace.client.request import STREAMING
from headrace.client.statistics import Statistics
from headrace.client.sync import Client, Stream
from headrace.client.timeouts import Timeout

PAGE = (REPOSITORY / "docs" / "howto" / "client.md").read_text("utf-8")
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)

APP = """
from collections.abc import AsyncIterator
from headrace import endpoint, service

@service
class Poet:
    @endpoint
    async def write(self, topic: str, lines: int = 4) -> AsyncIterator[str]:
        for i in range(lines):
            yield f"{topic} {i}\\n"

    @endpoint
    async def echo(self, words: AsyncIterator[str], lines: int) -> AsyncIterator[str]:
        async for word in words:
            for i in range(lines):
                yield f"{word} {i}\\n"
"""


@pytest.mark.parametrize("program", PROGRAMS, ids=["first", "async", "conversation", "options"])
def test_the_programs_run_and_print_the_poem(serve: Serve, tmp_path: Path, program: str) -> None:
    (tmp_path / "app.py").write_text(APP)
    served = serve("app.py", folder=tmp_path)
    text = program.replace("localhost:8000", f"127.0.0.1:{served.port}")
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", text],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("rain 0\nrain 1\nrain 2\nrain 3\n")


def test_the_page_names_what_there_is() -> None:
    for name in ("id", "header", "footer", "stats", "collect", "text", "save"):
        assert f"`stream.{name}" in PAGE
        assert hasattr(Stream, name)
    for name in ("send", "finish_input"):
        assert f"`conversation.{name}(" in PAGE
        assert hasattr(AsyncConversation, name)
        assert hasattr(Conversation, name)
    for name in Statistics.__dataclass_fields__:
        assert f"`{name}`" in PAGE
    for name in STREAMING:
        assert f"`{name}`" in PAGE
    for name in Timeout.__dataclass_fields__:
        assert f"| `{name}` |" in PAGE
    for name in Client.with_options.__kwdefaults__:
        assert f"| `{name}` |" in PAGE
