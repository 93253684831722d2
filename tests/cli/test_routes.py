"""`headrace routes`."""

from typing import Any

APP = """\
from collections.abc import AsyncIterator
from headrace import endpoint, service

@service
class Chat:
    def __init__(self, size: int) -> None:
        raise RuntimeError("constructed")

    @endpoint
    async def write(self, topic: str, lines: int = 4) -> AsyncIterator[str]:
        yield topic
"""


def test_the_endpoints_are_shown_with_their_types(project: Any) -> None:
    result = project.write(app=APP).run("routes", "app.py:Chat")
    assert result.exit_code == 0
    assert result.output == "  POST /write   (topic: str, lines: int = 4) → str*   text · ndjson · sse · json · ws\n"


def test_mistakes_are_shown_instead(project: Any) -> None:
    result = project.write(app=APP.replace("topic: str", "topic")).run("routes")
    assert result.exit_code == 1
    assert result.stderr.startswith("HR05 ")


def test_a_target_that_is_not_there_has_no_routes(project: Any) -> None:
    assert project.run("routes").exit_code == 3
