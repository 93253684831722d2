"""`docs/howto/speech.md` shows the example `speak` as it is, and what it says of it holds."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from conversation import conversation
from served import REPOSITORY, Served

PAGE = (REPOSITORY / "docs/howto/speech.md").read_text("utf-8")
EXAMPLE = REPOSITORY / "examples/speak"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
PROGRAMS = [code for language, code in BLOCKS if language == "python" and not code.startswith(" ")]
EXCERPTS = [code for _, code in BLOCKS if code.startswith(" ")]
SOURCES = [path.read_text("utf-8") for pattern in ("*.py", "page/*.js") for path in EXAMPLE.glob(pattern)]


@pytest.fixture(scope="module")
def speaker() -> Iterator[Served]:
    served = Served("run", "examples/speak/service.py", "--port", "0").ready()
    try:
        yield served
        served.assert_every_stream_ended()
    finally:
        served.stop()


@pytest.mark.parametrize("excerpt", EXCERPTS, ids=["speak", "converse", "heard", "session"])
def test_what_it_shows_of_the_example_stands_there(excerpt: str) -> None:
    assert any(excerpt in source for source in SOURCES)


def test_every_file_that_it_links_to_is_there() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", PAGE)
    assert len(links) == 4
    assert all((REPOSITORY / "docs/howto" / link).is_file() for link in links)


def test_its_client_hears_the_text(speaker: Served, capsys: pytest.CaptureFixture[str]) -> None:
    (program,) = PROGRAMS
    names: dict[str, Any] = {}
    exec(program.replace("localhost:8000", f"127.0.0.1:{speaker.port}"), names)
    seconds, unit = capsys.readouterr().out.split()
    assert (unit, 0.3 < float(seconds) < 3) == ("seconds", True)


def test_the_conversation_of_its_table_goes_like_that(speaker: Served) -> None:
    said = re.findall(r'^\| `\{"item":(".*?")\}`', PAGE, re.MULTILINE)
    first, second, silence = (json.loads(text) for text in said)
    with conversation(speaker, "realtime") as talk:
        assert json.dumps({"header": talk.header}, separators=(",", ":")) in PAGE
        talk.say(first)
        assert len(talk.heard()) > 30_000
        talk.say(first)
        assert len(talk.piece()) == 2 * 1024
        talk.say(second)
        talk.heard()
        assert talk.piece() != b""
        talk.say(silence)
        talk.heard()
        assert talk.piece() == b""
        talk.end()
        footer = talk.document()["footer"]
        assert (footer["texts"], footer["interrupted"]) == (4, 2)
