from typing import Any

import pytest

from headrace.server.joined_document import documented, join
from headrace.services.decorators import asgi_app, service
from headrace.services.definition import define

OURS: dict[str, Any] = {
    "openapi": "3.2.0",
    "info": {"title": "Poet"},
    "paths": {"/write": {"post": {"schema": {"$ref": "#/components/schemas/Line"}}}},
    "components": {"schemas": {"Line": {"type": "string"}, "End": {"$ref": "#/components/schemas/Line"}}},
}


class Described:
    def __init__(self, url: str | None) -> None:
        self.openapi_url = url

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        raise NotImplementedError

    def openapi(self) -> dict[str, Any]:
        return {}


def test_the_application_s_document_is_the_frame() -> None:
    theirs = {"openapi": "3.1.0", "info": {"title": "Theirs"}, "paths": {"/x": {}}, "servers": [{"url": "/"}]}
    assert join(OURS, theirs) == {
        "openapi": "3.1.0",
        "info": {"title": "Theirs"},
        "servers": [{"url": "/"}],
        "paths": {"/x": {}, **OURS["paths"]},
        "components": OURS["components"],
    }


def test_an_endpoint_comes_before_a_route_of_the_same_path() -> None:
    assert join(OURS, {"paths": {"/write": {"get": {}}}})["paths"] == OURS["paths"]


def test_other_components_of_the_application_stay() -> None:
    theirs = {"components": {"securitySchemes": {"key": {}}, "schemas": {"Item": {}}}}
    components = join(OURS, theirs)["components"]
    assert components["securitySchemes"] == {"key": {}}
    assert list(components["schemas"]) == ["Item", "Line", "End"]


def test_equal_schemas_of_one_name_are_one() -> None:
    assert join(OURS, {"components": {"schemas": {"Line": {"type": "string"}}}})["paths"] == OURS["paths"]


def test_different_schemas_of_one_name_keep_apart() -> None:
    joined = join(OURS, {"components": {"schemas": {"Line": {"type": "integer"}}}})
    assert joined["components"]["schemas"] == {
        "Line": {"type": "integer"},
        "Line_headrace": {"type": "string"},
        "End": {"$ref": "#/components/schemas/Line_headrace"},
    }
    assert joined["paths"]["/write"]["post"]["schema"] == {"$ref": "#/components/schemas/Line_headrace"}


def test_the_documents_that_were_given_stay_as_they_are() -> None:
    theirs: dict[str, Any] = {"paths": {}, "components": {"schemas": {"Line": {}}}}
    join(OURS, theirs)
    assert theirs == {"paths": {}, "components": {"schemas": {"Line": {}}}}
    assert list(OURS["components"]["schemas"]) == ["Line", "End"]


@pytest.mark.parametrize(
    ("path", "url", "found"),
    [("/", "/openapi.json", True), ("/", "/api.json", False), ("/", None, False), ("/a", "/openapi.json", False)],
)
def test_only_an_application_that_would_answer_there_is_joined(path: str, url: str | None, found: bool) -> None:
    app = Described(url)

    @asgi_app(app, path=path)
    @service
    class Poet: ...

    assert (documented(define(Poet).mounts) is app) is found
