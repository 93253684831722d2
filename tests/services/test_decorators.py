from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from headrace.services.decorators import (
    ENDPOINT,
    SERVICE,
    Bound,
    EndpointOptions,
    NoMethod,
    ServiceOptions,
    endpoint,
    service,
)


def test_a_service_is_marked_with_its_name() -> None:
    @service
    class Poet: ...

    @service(name="singer")
    class Singer: ...

    assert vars(Poet)[SERVICE] == ServiceOptions("Poet")
    assert vars(Singer)[SERVICE] == ServiceOptions("singer")


def test_bind_constructs_nothing() -> None:
    @service
    class Poet:
        def __init__(self, model_id: str) -> None:
            raise AssertionError

    bound: Bound[Any] = Poet.bind("tiny", size=3)  # type: ignore[attr-defined]
    assert bound == Bound(Poet, ("tiny",), {"size": 3})


def test_bind_of_a_subclass_binds_the_subclass() -> None:
    @service
    class Poet: ...

    @service
    class Singer(Poet): ...

    assert Singer.bind().service is Singer  # type: ignore[attr-defined]


def test_a_bind_of_the_users_own_stays() -> None:
    @service
    class Binder:
        @endpoint
        def bind(self) -> str:
            return "mine"

    assert Binder().bind() == "mine"


def test_an_endpoint_is_the_method_itself_with_a_mark() -> None:
    def write() -> None: ...

    assert endpoint(write) is write
    assert getattr(write, ENDPOINT) == EndpointOptions()


def test_options_are_kept_as_they_were_given() -> None:
    @endpoint(path="/poems", methods=["get", "POST"], media_type="text/markdown", summary="Poems.")
    def write() -> None: ...

    assert getattr(write, ENDPOINT) == EndpointOptions("/poems", ("GET", "POST"), "text/markdown", "Poems.")


def test_timeouts_are_kept_as_they_were_given() -> None:
    @endpoint(first_item_timeout=30, item_timeout=2.5, timeout=-1)
    def write() -> None: ...

    options = getattr(write, ENDPOINT)
    assert (options.first_item_timeout, options.item_timeout, options.timeout) == (30, 2.5, -1)


def test_mistakes_in_the_options_are_kept_too() -> None:
    @endpoint("/poems", methods="GET")  # type: ignore[call-overload, untyped-decorator]
    def write() -> None: ...

    assert getattr(write, ENDPOINT) == EndpointOptions(methods="GET", positional="/poems")  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [property(lambda self: 1), 3, "text".join, object()])
def test_what_takes_no_mark_is_kept_in_its_place(value: Any) -> None:
    kept = endpoint(value)
    assert isinstance(kept, NoMethod)
    assert kept.func is value
    assert getattr(kept, ENDPOINT) == EndpointOptions()


def test_a_service_that_is_a_function_is_a_mistake(
    written: Callable[[str], ModuleType], told: Callable[[Callable[[], object]], str]
) -> None:
    source = "from headrace import service\n\n\n@service\ndef chat() -> None: ...\n"
    assert told(lambda: written(source)) == (
        "HR17 chat is not a class\n"
        "  app.py:5\n"
        "    def chat() -> None: ...\n"
        "        ^\n"
        "  A service is a class; its methods are the endpoints.\n"
        "  fix: @service\n"
        "       class Chat:\n"
    )


def test_a_service_with_a_text_is_a_mistake(
    written: Callable[[str], ModuleType], told: Callable[[Callable[[], object]], str]
) -> None:
    source = "from headrace import service\n\n\n@service('chat')\nclass Chat: ...\n"
    assert told(lambda: written(source)) == (
        "HR17 'chat' is not a class\n"
        "  A service is a class; its methods are the endpoints.\n"
        "  fix: @service(name='chat')\n"
    )
