import inspect

import pytest

from headrace.client import AsyncClient, Client, Timeout
from headrace.client.configured import Configured
from headrace.wire.stream_types import stream_types

CLIENTS = pytest.mark.parametrize("kind", [Client, AsyncClient])


@CLIENTS
def test_both_clients_are_configured_by_the_same_code(kind: type[Configured]) -> None:
    assert "with_options" not in vars(kind)
    assert "typed" not in vars(kind)


@CLIENTS
def test_a_configuration_keeps_what_it_does_not_change(kind: type[Client]) -> None:
    timeout, types = Timeout(gap=5), stream_types(str)
    client = kind("http://localhost:1").with_options(timeout=timeout, retries=0, headers={"X-A": "a"})
    other = client.with_options(types=types, headers={"X-B": "b"})
    options = other._caller.options
    assert (options.timeout, options.retries, options.types) == (timeout, 0, types)
    assert {"x-a": "a", "x-b": "b"}.items() <= {name.lower(): text for name, text in options.headers.items()}.items()


@CLIENTS
def test_the_client_that_it_came_from_stays_as_it_was(kind: type[Client]) -> None:
    client = kind("http://localhost:1")
    before = client._caller.options
    client.with_options(retries=0, format="sse")
    assert client._caller.options is before


@CLIENTS
@pytest.mark.parametrize(
    ("options", "said"),
    [({"format": "xml"}, "xml"), ({"method": "GE T"}, "GE T"), ({"retries": -1}, "retries=-1")],
)
def test_an_option_that_there_is_not_is_refused(kind: type[Client], options: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        kind("http://localhost:1").with_options(**options)  # type: ignore[arg-type]


@CLIENTS
def test_every_option_is_a_name_and_never_a_position(kind: type[Client]) -> None:
    parameters = list(inspect.signature(kind.with_options).parameters.values())[1:]
    assert {each.kind for each in parameters} == {inspect.Parameter.KEYWORD_ONLY}
