from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from headrace.errors import DefinitionError
from headrace.services.decorators import MOUNTS, Bound, MountOptions, asgi_app, endpoint, service
from headrace.services.definition import define

Written = Callable[[str], ModuleType]
Told = Callable[[Callable[[], object]], str]


async def app(scope: Any, receive: Any, send: Any) -> None:
    raise NotImplementedError


class Callable_:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        raise NotImplementedError


def create_app() -> Any:
    return app


def mounts(service: type) -> list[tuple[str, str]]:
    return [(mount.label, mount.path) for mount in define(service).mounts]


def mistakes(target: Any) -> list[str]:
    with pytest.raises(DefinitionError) as caught:
        define(target)
    assert {mistake.code for mistake in caught.value.mistakes} == {"HR17"}
    return [mistake.what for mistake in caught.value.mistakes]


def test_the_decorator_records_and_nothing_else() -> None:
    @asgi_app(app, path="/app")
    class Poet: ...

    assert vars(Poet)[MOUNTS] == (MountOptions(app, "/app"),)


@pytest.mark.parametrize("order", [(service, asgi_app(app)), (asgi_app(app), service)])
def test_the_decorators_stand_in_any_order(order: tuple[Callable[[type], type], Callable[[type], type]]) -> None:
    class Poet: ...

    first, second = order
    assert mounts(second(first(Poet))) == [("Poet.app /", "")]


def test_a_service_needs_no_endpoint_beside_an_application() -> None:
    @asgi_app(app)
    @service(name="poems")
    class Poet: ...

    assert define(Poet).endpoints == ()
    assert mounts(Poet) == [("poems.app /", "")]


def test_an_object_that_is_called_is_an_application() -> None:
    @asgi_app(Callable_())
    @service
    class Poet: ...

    assert mounts(Poet) == [("Poet.app /", "")]


def test_the_longest_path_comes_first() -> None:
    @asgi_app(app)
    @asgi_app(app, path="/a")
    @asgi_app(app, path="/a/longer")
    @service
    class Poet: ...

    assert [path for _, path in mounts(Poet)] == ["/a/longer", "/a", ""]


def test_a_subclass_has_the_applications_of_its_bases_and_they_have_none_of_its() -> None:
    @asgi_app(app, path="/a")
    @service
    class Poet: ...

    @asgi_app(app, path="/b")
    @service
    class Singer(Poet): ...

    assert mounts(Singer) == [("Singer.app /b", "/b"), ("Singer.app /a", "/a")]
    assert mounts(Poet) == [("Poet.app /a", "/a")]


@pytest.mark.parametrize(
    ("at", "path", "covered"),
    [
        ("/", "/", True),
        ("/", "/any/path", True),
        ("/a", "/a", True),
        ("/a", "/a/", True),
        ("/a", "/a/b", True),
        ("/a", "/ab", False),
        ("/a", "/", False),
        ("/a", "/b/a", False),
    ],
)
def test_a_mount_covers_what_is_below_its_path(at: str, path: str, covered: bool) -> None:
    @asgi_app(app, path=at)
    @service
    class Poet: ...

    assert define(Poet).mounts[0].covers(path) is covered


@pytest.mark.parametrize("path", ["", "app", "/app/", "//", "/a//b", "/a b", "/{name}", "/a?b", 7, None])
def test_a_path_has_a_form(path: Any) -> None:
    @asgi_app(app, path=path)
    @service
    class Poet: ...

    assert mistakes(Poet) == [f"Poet: @asgi_app cannot mount an application at {path!r}"]


@pytest.mark.parametrize("path", ["/metrics", "/livez", "/streams", "/openapi.json", "/write"])
def test_what_is_served_already_cannot_be_mounted_on(path: str) -> None:
    @asgi_app(app, path=path)
    @service
    class Poet:
        @endpoint
        async def write(self) -> str:
            return ""

    assert mistakes(Poet) == [f"Poet: @asgi_app cannot mount an application at {path}"]


def test_two_applications_do_not_share_a_path() -> None:
    @asgi_app(app)
    @asgi_app(Callable_())
    @service
    class Poet: ...

    assert mistakes(Poet) == ["Poet: @asgi_app cannot mount an application at /"]


def test_an_endpoint_at_the_root_comes_before_an_application_there() -> None:
    @asgi_app(app)
    @service
    class Poet:
        @endpoint(path="/")
        async def write(self) -> str:
            return ""

    assert mounts(Poet) == [("Poet.app /", "")]


@pytest.mark.parametrize(("wrong", "shown"), [("fastapi", "str"), (None, "NoneType"), (create_app, "create_app")])
def test_what_is_no_application_is_told(wrong: Any, shown: str) -> None:
    @asgi_app(wrong)
    @service
    class Poet: ...

    assert mistakes(Poet) == [f"Poet: @asgi_app was given {shown}, which is not an ASGI application"]


def test_all_mistakes_of_a_bound_service_are_told_together() -> None:
    @asgi_app(app, path="a")
    @asgi_app(create_app)
    @service
    class Poet:
        @endpoint(path="b")
        async def write(self) -> str:
            return ""

    assert len(mistakes(Bound(Poet))) == 3


def test_a_decorator_without_an_application_is_told_at_once() -> None:
    with pytest.raises(DefinitionError, match="@asgi_app above Poet names no application"):

        @asgi_app  # type: ignore[arg-type]
        class Poet: ...


def test_an_application_is_mounted_in_a_class() -> None:
    with pytest.raises(DefinitionError, match="HR17 write is not a class"):

        @asgi_app(app)  # type: ignore[type-var]
        def write() -> None: ...


TEXTS = [
    pytest.param(
        """\
from headrace import asgi_app, service

def create_app(): ...

@asgi_app(create_app)
@service
class Poet:
    pass
""",
        """\
HR17 Poet: @asgi_app was given create_app, which is not an ASGI application
  app.py:3
    def create_app(): ...
        ^
  An ASGI application is called with scope, receive and send.
  fix: @asgi_app(create_app())""",
        id="a factory",
    ),
    pytest.param(
        """\
from headrace import asgi_app, service

async def app(scope, receive, send): ...

@asgi_app(app, path="poems")
@service
class Poet:
    pass
""",
        """\
HR17 Poet: @asgi_app cannot mount an application at 'poems'
  app.py:7
    class Poet:
          ^
  A path starts with "/", is plain text, and has no "/" at its end.
  fix: @asgi_app(app, path="/app")""",
        id="a path",
    ),
]


@pytest.mark.parametrize(("source", "text"), TEXTS)
def test_a_mistake_has_the_usual_shape(written: Written, told: Told, source: str, text: str) -> None:
    module = written(source)
    assert told(lambda: define(module.Poet)) == text + "\n"
