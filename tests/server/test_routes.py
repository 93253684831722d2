"""Which endpoint answers at which path."""

from typing import Any

import pytest

from headrace.server.routes import Routes
from headrace.services.decorators import endpoint, service
from headrace.services.definition import define


@service
class Library:
    @endpoint(path="/books/{rest:path}")
    def below(self, rest: str) -> str:
        return rest

    @endpoint(path="/books/{book}/pages/{page}")
    def page(self, book: str, page: int) -> str:
        return book

    @endpoint(path="/books/new")
    def new(self) -> str:
        return ""

    @endpoint(path="/{anything}")
    def other(self, anything: str) -> str:
        return anything


@pytest.fixture
def routes() -> Routes:
    return Routes(define(Library).endpoints)


@pytest.mark.parametrize(
    ("path", "method", "parts"),
    [
        ("/books/new", "new", {}),
        ("/books/old", "below", {"rest": "old"}),
        ("/books/a/pages/3", "page", {"book": "a", "page": "3"}),
        ("/books/a/b/pages/3", "below", {"rest": "a/b/pages/3"}),
        ("/books", "other", {"anything": "books"}),
        ("/", None, {}),
        ("/livez", None, {}),
        ("/metrics", None, {}),
        ("/a/b", None, {}),
    ],
)
def test_an_exact_path_comes_first_then_the_one_with_the_most_text(
    routes: Routes, path: str, method: str | None, parts: Any
) -> None:
    route = routes.find(path)
    assert (route and route.endpoint.attribute) == method
    assert route is None or route.parts == parts


@pytest.mark.parametrize("path", ["/books/new", "/books/a/pages/3"])
def test_what_the_service_knows_is_asked_when_it_is_needed(path: str) -> None:
    known: dict[str, str] = {}
    route = Routes(define(Library).endpoints, lambda: known).find(path)
    known["book"] = "b"  # the service has started meanwhile
    assert route is not None
    assert route.known() == {"book": "b"}


def test_all_paths_are_listed_as_they_were_declared(routes: Routes) -> None:
    assert list(routes.paths) == ["/books/{rest:path}", "/books/{book}/pages/{page}", "/books/new", "/{anything}"]
