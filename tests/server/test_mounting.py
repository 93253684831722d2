from typing import Any

import pytest
from asgi import Call
from starlette.applications import Starlette
from starlette.routing import Mount

from headrace.config import ConfigError
from headrace.errors import DefinitionError
from headrace.server.mounting import asgi
from headrace.services.decorators import endpoint, service


@service
class Poet:
    def __init__(self, name: str = "poet") -> None:
        self.name = name

    @endpoint
    async def write(self, topic: str) -> str:
        return f"{self.name}: {topic}"


async def write(app: Any, path: str) -> Call:
    return await Call(app, "POST", path, arguments={"topic": "rain"}).start().ended()


async def test_a_service_is_mounted_in_somebody_else_s_application() -> None:
    poet = asgi(Poet)
    parent = Starlette(routes=[Mount("/poet", app=poet)])
    async with poet.runtime:
        assert (await write(parent, "/poet/write")).body == b"poet: rain"


async def test_it_starts_with_the_first_request_where_nobody_starts_it() -> None:
    poet = asgi(Poet.bind("other"))  # type: ignore[attr-defined]
    assert (await write(poet, "/write")).body == b"other: rain"
    await poet.runtime.__aexit__()


def test_settings_have_their_names() -> None:
    assert asgi(Poet, max_concurrency=8, api_key=("k",)).settings.max_concurrency == 8


@pytest.mark.parametrize("wrong", [{"max_concurency": 8}, {"max_concurrency": "many"}])
def test_settings_that_do_not_exist_or_fit_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"asgi\(\.\.\.\)"):
        asgi(Poet, **wrong)


def test_a_class_that_is_no_service_is_refused() -> None:
    with pytest.raises(DefinitionError, match="HR02"):
        asgi(int)
