"""The description of a service, held against what OpenAPI 3.2.0 asks of a document."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field
from shouting import OneVoice, Shouting

from headrace.server.openapi import document
from headrace.services.decorators import endpoint, service
from headrace.services.definition import define
from headrace.wire.annotations import Stream
from headrace.wire.events import Event


@dataclass
class Token:
    text: str


class Node(BaseModel):
    next: "Node | None" = None


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


class Problem(BaseModel):
    mine: int


def other_token() -> type:
    @dataclass
    class Token:
        number: int

    return Token


OtherToken = other_token()


@service
class Everything:
    """One endpoint of every kind."""

    @endpoint(methods=("GET", "POST"))
    async def text(self, topic: str, lines: int = 4) -> AsyncIterator[str]:
        """Writes text.

        Line by line.
        """
        yield ""

    @endpoint
    async def tokens(self, node: Node) -> AsyncIterator[Token]:
        yield Token("")

    @endpoint
    async def others(self, problem: Problem) -> AsyncIterator[list[OtherToken]]:  # type: ignore[valid-type]
        yield [OtherToken(1)]

    @endpoint
    async def typed(self) -> Stream[Token, list[Token], Node]:
        yield Token("")

    @endpoint
    async def pet(self, pet: Annotated[Cat | Dog, Field(discriminator="kind")]) -> Node:
        return Node()

    @endpoint(media_type="audio/wav")
    async def sound(self) -> AsyncIterator[bytes]:
        yield b""

    @endpoint
    async def upload(self, data: bytes, name: str) -> int:
        return 0

    @endpoint
    async def shout(self, tokens: AsyncIterator[Token]) -> AsyncIterator[str]:
        yield ""

    @endpoint
    async def events(self) -> AsyncIterator[Event[Token]]:
        yield Event(Token(""))

    @endpoint(path="/poems/{book:path}/pages/{page}", methods=("GET", "PUT"))
    async def page(self, page: Annotated[int, Field(ge=1)], book: str, loud: bool = False) -> str:
        return ""

    @endpoint(path="/said", dialect=Shouting())
    async def said(self, say: str, token: Token) -> AsyncIterator[Token]:
        yield token

    @endpoint(path="/voices/{voice}", methods=("GET", "DELETE"), dialect=OneVoice())
    async def voice(self, voice: str) -> Token:
        return Token("")

    @endpoint(path="/get")
    async def text_get(self) -> str:
        return ""


DOCUMENT = document(define(Everything))


def operation(path: str, method: str = "post") -> Any:
    return DOCUMENT["paths"][path][method]


def contents(path: str) -> Any:
    return operation(path)["responses"]["200"]["content"]


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, each in value.items():
            if key == "$ref" and isinstance(each, str):
                yield each
            elif key == "mapping":
                yield from each.values()
            else:
                yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def resolved(schema: Any) -> Any:
    return DOCUMENT["components"]["schemas"][schema["$ref"].removeprefix("#/components/schemas/")]


# -- the document as such


def test_it_has_what_every_openapi_document_has() -> None:
    assert DOCUMENT["openapi"] == "3.2.0"
    assert DOCUMENT["info"] == {"title": "Everything", "version": "1", "description": "One endpoint of every kind."}
    assert json.loads(json.dumps(DOCUMENT, allow_nan=False)) == DOCUMENT


def test_every_path_has_operations_with_responses_and_ids_of_their_own() -> None:
    ids = []
    for path, operations in DOCUMENT["paths"].items():
        assert path.startswith("/")
        assert operations.keys() <= {"get", "put", "post", "delete", "patch"}
        for each in operations.values():
            ids.append(each["operationId"])
            assert each["responses"].keys() == {"200", "default"}
            for response in each["responses"].values():
                assert isinstance(response["description"], str)
                assert response["content"]
                for media in response["content"].values():
                    assert media.keys() <= {"schema", "itemSchema"}
    assert len(ids) == len(set(ids)) == 16
    assert {"text-get", "text-post", "text_get"} <= set(ids)


def test_every_reference_leads_somewhere() -> None:
    found = set(references(DOCUMENT))
    assert {each for each in found if not each.startswith("#/components/schemas/")} == set()
    names = {each.removeprefix("#/components/schemas/") for each in found}
    assert names <= DOCUMENT["components"]["schemas"].keys()
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", name) for name in DOCUMENT["components"]["schemas"])
    assert "$defs" not in json.dumps(DOCUMENT)


def test_two_types_of_one_name_are_two_schemas() -> None:
    first = resolved(operation("/typed")["x-headrace"]["header"]["items"])
    second = resolved(operation("/others")["x-headrace"]["item"]["items"])
    assert (list(first["properties"]), list(second["properties"])) == (["text"], ["number"])


def test_a_type_called_problem_does_not_replace_ours() -> None:
    schema = operation("/others")["requestBody"]["content"]["application/json"]["schema"]
    assert list(resolved(schema["properties"]["problem"])["properties"]) == ["mine"]
    ours = operation("/others")["responses"]["default"]["content"]["application/problem+json"]["schema"]
    assert "retryable" in resolved(ours)["properties"]


# -- arguments


def test_what_post_takes_is_an_object_with_an_example() -> None:
    body = operation("/text")["requestBody"]
    assert body["required"] is True
    assert body["content"]["application/json"]["schema"]["required"] == ["topic"]
    assert body["content"]["application/json"]["example"].keys() >= {"topic"}
    assert operation("/typed")["requestBody"]["required"] is False


def test_what_get_takes_is_in_the_query() -> None:
    parameters = operation("/text", "get")["parameters"]
    assert [(each["name"], each["in"], each["required"]) for each in parameters] == [
        ("topic", "query", True),
        ("lines", "query", False),
    ]
    assert "requestBody" not in operation("/text", "get")


def test_a_body_of_its_own_leaves_the_others_to_the_query() -> None:
    upload = operation("/upload")
    assert upload["requestBody"] == {"required": True, "content": {"application/octet-stream": {}}}
    assert [each["name"] for each in upload["parameters"]] == ["name"]
    lines = operation("/shout")["requestBody"]["content"]
    assert list(lines) == ["application/x-ndjson"]
    assert list(lines["application/x-ndjson"]) == ["itemSchema"]


# -- answers


@pytest.mark.parametrize(
    ("path", "types"),
    [
        (
            "/text",
            [
                *("text/plain", "application/x-ndjson", "application/jsonl", "text/event-stream"),
                *("application/vnd.headrace.frames", "application/json"),
            ],
        ),
        (
            "/tokens",
            [
                *("application/x-ndjson", "application/jsonl", "text/event-stream"),
                *("application/vnd.headrace.frames", "application/json"),
            ],
        ),
        (
            "/sound",
            [
                *("audio/wav", "application/octet-stream", "application/x-ndjson", "application/jsonl"),
                *("text/event-stream", "application/vnd.headrace.frames", "application/json"),
            ],
        ),
        ("/pet", ["application/json"]),
        ("/get", ["text/plain", "application/json"]),
    ],
)
def test_every_media_type_that_answers_is_named(path: str, types: list[str]) -> None:
    assert list(contents(path)) == types


def test_a_stream_has_an_item_schema_and_an_answer_a_schema() -> None:
    assert list(contents("/tokens")["application/x-ndjson"]) == ["itemSchema"]
    assert list(contents("/tokens")["text/event-stream"]) == ["itemSchema"]
    assert list(contents("/pet")["application/json"]) == ["schema"]


def test_a_line_is_one_of_the_events() -> None:
    schema = contents("/typed")["application/x-ndjson"]["itemSchema"]
    assert list(schema["properties"]) == ["item", "header", "footer", "end", "error"]
    assert (schema["minProperties"], schema["maxProperties"]) == (1, 1)


def test_a_server_sent_event_has_its_json_in_data() -> None:
    first, *others = contents("/text")["text/event-stream"]["itemSchema"]["oneOf"]
    assert first["properties"]["data"] == {
        "type": "string",
        "contentMediaType": "application/json",
        "contentSchema": {"type": "string"},
    }
    assert [each["properties"]["event"] for each in others] == [{"const": "end"}, {"const": "error"}]


def test_events_of_the_user_s_own_schema_have_names() -> None:
    first, *_ = contents("/events")["text/event-stream"]["itemSchema"]["oneOf"]
    assert first["properties"]["event"] == {"type": "string", "not": {"enum": ["end", "error", "footer", "header"]}}
    assert first["properties"]["data"] == {"type": "string"}


def test_a_gathered_answer_has_the_shape_of_its_stream() -> None:
    assert contents("/text")["application/json"]["schema"] == {"type": "string"}
    assert contents("/sound")["application/json"]["schema"] == {"type": "string", "contentEncoding": "base64"}
    assert contents("/tokens")["application/json"]["schema"]["type"] == "array"
    typed = contents("/typed")["application/json"]["schema"]
    assert set(typed["required"]) == {"header", "items", "footer"}
    assert typed["properties"]["items"]["type"] == "array"


def test_header_and_footer_stand_in_our_own_extension() -> None:
    extension = operation("/typed")["x-headrace"]
    assert list(extension) == ["streams", "item", "header", "footer"]
    assert extension["header"]["type"] == "array"
    assert extension["footer"] is not None
    assert operation("/text")["x-headrace"] == {
        "streams": True,
        "item": {"type": "string"},
        "header": None,
        "footer": None,
    }


def test_the_docstring_is_the_summary_and_the_description() -> None:
    assert (operation("/text")["summary"], operation("/text")["description"]) == ("Writes text.", "Line by line.")


# -- named parts of a path


def test_parts_of_a_path_are_required_and_have_their_own_schema() -> None:
    path = "/poems/{book}/pages/{page}"
    book = {"name": "book", "in": "path", "required": True, "schema": {"title": "Book", "type": "string"}}
    number = {"title": "Page", "type": "integer", "minimum": 1}
    page = {"name": "page", "in": "path", "required": True, "schema": number}
    loud = {"title": "Loud", "type": "boolean", "default": False}
    assert operation(path, "get")["parameters"] == [
        book,
        page,
        {"name": "loud", "in": "query", "required": False, "schema": loud},
    ]
    assert operation(path, "put")["parameters"] == [book, page]
    body = operation(path, "put")["requestBody"]["content"]["application/json"]
    assert (list(body["schema"]["properties"]), body["example"]) == (["loud"], {"loud": False})


# -- dialects


def test_what_a_dialect_takes_is_its_own_schema() -> None:
    body = operation("/said")["requestBody"]
    schema = body["content"]["application/json"]["schema"]
    assert body["required"]
    assert schema["properties"]["say"] == {"type": "string"}
    assert resolved(schema["properties"]["whole"]) == {"type": "boolean", "default": False}
    assert body["content"]["application/json"]["example"] == {"say": "text"}
    assert "parameters" not in operation("/said")


def test_what_a_dialect_answers_is_told_request_by_request() -> None:
    responses = operation("/said")["responses"]
    assert responses["200"] == {"description": "The stream.", "content": {"*/*": {}}}
    assert responses["default"] == {
        "description": "An error, as this API tells it.",
        "content": {"application/json": {}},
    }


@pytest.mark.parametrize("method", ["get", "delete"])
def test_a_dialect_without_a_schema_takes_no_body(method: str) -> None:
    described = operation("/voices/{voice}", method)
    assert "requestBody" not in described
    assert described["parameters"] == [{"name": "voice", "in": "path", "required": True, "schema": {"type": "string"}}]
