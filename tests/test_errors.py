"""The tree of errors: what stands in the drawing is what there is."""

import importlib
import re
from pathlib import Path

import pytest

import headrace
from headrace import errors
from headrace.errors import (
    Cancelled,
    ClientGone,
    DefinitionError,
    HeadraceError,
    InternalError,
    InvalidArguments,
    MethodNotAllowed,
    Mistake,
    NotAcceptable,
    Overloaded,
    Place,
    RateLimited,
    RequestError,
    SetupError,
    StreamError,
    Unauthorized,
    received,
)

ROW = re.compile(r"^    (?P<indent>[│├└─ ]*)(?P<name>[A-Z]\w+) +(?P<rest>.*)$", re.MULTILINE)
SOURCE = Path(headrace.__path__[0])
ELSEWHERE = ["headrace.config", "headrace.services.context", "headrace.engines.tiny.checkpoint"]
ELSEWHERE += ["headrace.engines.refusals", "headrace.openai.refusals"]
ELSEWHERE += ["headrace.server.response", "headrace.server.app_routes", "headrace.server.asgi_mount"]


def tree() -> dict[str, type[HeadraceError]]:
    """Every class of the tree by its name, the users' and the tests' left out."""
    for module in ELSEWHERE:
        importlib.import_module(module)
    found: dict[str, type[HeadraceError]] = {"HeadraceError": HeadraceError}
    waiting = [HeadraceError]
    while waiting:
        for child in waiting.pop().__subclasses__():
            if child.__module__.startswith("headrace.") and child.__name__ not in found:
                found[child.__name__] = child
                waiting.append(child)
    return found


def drawn() -> dict[str, str]:
    """The rows of the drawing: what stands beside each name."""
    text = errors.__doc__ or ""
    assert "HeadraceError\n" in text
    return {match["name"]: match["rest"] for match in ROW.finditer(text)}


def drawn_parents() -> dict[str, str]:
    parents: dict[str, str] = {}
    above: list[tuple[int, str]] = [(0, "HeadraceError")]
    for match in ROW.finditer(errors.__doc__ or ""):
        depth = len(match["indent"])
        while above[-1][0] >= depth:
            above.pop()
        parents[match["name"]] = above[-1][1]
        above.append((depth, match["name"]))
    return parents


STREAM_ERRORS = {name: each for name, each in tree().items() if issubclass(each, StreamError)}


def test_every_class_of_the_package_is_drawn() -> None:
    assert set(drawn()) | {"HeadraceError"} == set(tree())


@pytest.mark.parametrize("file", sorted(SOURCE.rglob("*.py")), ids=lambda file: str(file.relative_to(SOURCE)))
def test_every_file_with_errors_of_its_own_is_looked_at(file: Path) -> None:
    module = ".".join(["headrace", *file.relative_to(SOURCE).with_suffix("").parts])
    if re.search(r"^class \w+\(HeadraceError", file.read_text(encoding="utf-8"), re.MULTILINE):
        assert module in ("headrace.errors", *ELSEWHERE)


def test_every_class_stands_below_its_parent() -> None:
    assert drawn_parents() == {
        name: each.__bases__[0].__name__ for name, each in tree().items() if each is not HeadraceError
    }


@pytest.mark.parametrize(
    "kind",
    [each for each in STREAM_ERRORS.values() if each not in (StreamError, RequestError)],
    ids=lambda kind: kind.__name__,
)
def test_the_drawing_has_the_code_the_status_and_whether_a_retry_helps(kind: type[StreamError]) -> None:
    code, status, *more = drawn()[kind.__name__].split()
    assert (code, int(status)) == (kind.code, kind.status)
    assert (more[:1] == ["retryable"]) == kind.retryable


def test_codes_are_unique_but_for_the_client_that_left() -> None:
    codes = [each.code for each in STREAM_ERRORS.values() if each is not ClientGone]
    assert sorted(set(codes)) == sorted(codes)
    assert ClientGone.code == Cancelled.code


@pytest.mark.parametrize("kind", STREAM_ERRORS.values(), ids=lambda kind: kind.__name__)
def test_every_error_has_a_message_a_code_and_a_status(kind: type[StreamError]) -> None:
    assert re.fullmatch(r"[a-z_]+", kind.code)
    assert 400 <= kind.status < 600
    assert kind.default_message().endswith((".", "later", "failed")) or ";" in kind.default_message()


def test_a_users_subclass_keeps_its_code_its_status_and_its_message() -> None:
    class ModelBusy(StreamError):
        """The model is busy.

        More for its author.
        """

        code = "model_busy"
        status = 429
        retryable = True

    error = ModelBusy("three wait already")
    assert (error.code, error.status, error.retryable, error.message) == ("model_busy", 429, True, "three wait already")
    assert ModelBusy().message == "The model is busy."
    assert (error.headers, error.members) == ({}, {})


def test_a_subclass_without_a_docstring_has_its_code_for_a_message() -> None:
    class Bare(StreamError):
        code = "bare"

    Bare.__doc__ = None
    assert Bare().message == "bare"


def test_some_errors_bring_headers() -> None:
    assert Overloaded("later", retry_after=7).headers == {"retry-after": "7"}
    assert Unauthorized().headers == {"www-authenticate": "Bearer"}
    assert MethodNotAllowed("no", ["GET", "POST"]).headers == {"allow": "GET, POST"}


def test_some_errors_bring_members() -> None:
    assert NotAcceptable("no", ["text/plain"]).members == {"available": ["text/plain"]}
    entry = {"pointer": "/a", "detail": "wrong", "type": "t"}
    assert InvalidArguments("no", [entry], {"a": 1}).members == {"errors": [entry], "example": {"a": 1}}


def test_a_setup_error_knows_its_step() -> None:
    assert SetupError("no", "on_start").step == "on_start"
    assert (SetupError("no").step, str(SetupError("no"))) == ("", "no")


PLACE = Place("app.py", 3, "def write(self, prompt):", 17)


@pytest.mark.parametrize(
    ("mistake", "text"),
    [
        (Mistake("HR05", "add a type"), "HR05 add a type"),
        (Mistake("HR05", "add a type", Place("app.py", 3)), "HR05 add a type\n  app.py:3"),
        (
            Mistake("HR05", "add a type", Place("app.py", 3, "pass")),
            "HR05 add a type\n  app.py:3\n    pass",
        ),
        (
            Mistake("HR05", "add a type", PLACE, "It is the check.", "@endpoint\ndef write(self, prompt: str):"),
            "HR05 add a type\n"
            "  app.py:3\n"
            "    def write(self, prompt):\n"
            "                    ^\n"
            "  It is the check.\n"
            "  fix: @endpoint\n"
            "       def write(self, prompt: str):",
        ),
    ],
)
def test_a_mistake_is_told_with_all_that_is_known(mistake: Mistake, text: str) -> None:
    assert str(mistake) == text


def test_mistakes_are_told_together() -> None:
    error = DefinitionError([Mistake("HR05", "one"), Mistake("HR06", "other")])
    assert str(error) == "HR05 one\n\nHR06 other"
    assert [mistake.code for mistake in error.mistakes] == ["HR05", "HR06"]


def test_every_code_is_explained_in_the_wire_format() -> None:
    page = (SOURCE.parent.parent / "docs" / "wire-format.md").read_text("utf-8")
    codes = {kind.code for kind in tree().values() if issubclass(kind, StreamError)}
    assert sorted(code for code in codes if f"`{code}`" not in page) == []


# -- from the wire


@pytest.mark.parametrize("kind", [each for each in STREAM_ERRORS.values() if each is not ClientGone])
def test_every_error_is_found_by_its_code(kind: type[StreamError]) -> None:
    error = received(kind.code, "m")
    assert type(error) is kind
    assert (error.message, error.status, error.retryable) == ("m", kind.status, kind.retryable)
    assert (error.stream_id, error.items_sent) == ("", 0)
    assert isinstance(error.headers, dict)
    assert isinstance(error.members, dict)


def test_an_error_without_a_message_has_that_of_its_class() -> None:
    assert received("internal").message == InternalError.default_message()


def test_of_several_classes_with_a_code_the_most_general_is_meant() -> None:
    class Fuller(Overloaded):
        """Fuller than full."""

    assert type(received("overloaded")) is Overloaded
    assert type(received("cancelled")) is Cancelled
    assert Fuller.code == "overloaded"


def test_a_users_own_error_is_found_however_deep_it_stands_and_whatever_it_takes() -> None:
    class Tired(Overloaded):
        """The model is tired."""

        code = "test_tired"

        def __init__(self, hours: int) -> None:
            super().__init__(f"for {hours} hours", retry_after=hours * 3600)

    class VeryTired(Tired):
        """The model sleeps."""

        code = "test_very_tired"

    error = received("test_very_tired", "for 2 hours", {}, {"retry-after": "7200"})
    assert isinstance(error, VeryTired)
    assert (error.message, error.retry_after, error.headers) == ("for 2 hours", 7200, {"retry-after": "7200"})


def test_a_code_that_no_class_has_keeps_what_was_told() -> None:
    told = {"status": 418, "retryable": True, "stream_id": "s_1", "items_sent": 3}
    error = received("test_teapot", "short", told)
    assert type(error) is StreamError
    assert (error.code, error.status, error.retryable) == ("test_teapot", 418, True)
    assert (error.stream_id, error.items_sent) == ("s_1", 3)
    assert (StreamError.code, StreamError.status, StreamError.retryable) == ("stream_error", 500, False)


@pytest.mark.parametrize("status", [None, 200, 600, "418", True, 4.5])
def test_a_status_that_no_failure_has_is_not_taken_over(status: object) -> None:
    error = received("test_teapot", "", {"status": status, "retryable": "yes", "stream_id": 7, "items_sent": "x"})
    assert (error.status, error.retryable, error.stream_id, error.items_sent) == (500, False, "", 0)


@pytest.mark.parametrize(("text", "seconds"), [("7", 7), ("", 1), ("-7", 1), ("Fri, 20 Nov", 1), ("9" * 10, 1)])
def test_overloaded_keeps_its_advice(text: str, seconds: int) -> None:
    error = received("overloaded", "", {}, {"retry-after": text})
    assert isinstance(error, Overloaded)
    assert error.retry_after == seconds
    assert isinstance(received("rate_limited"), RateLimited)


def test_method_not_allowed_keeps_the_methods() -> None:
    error = received("method_not_allowed", "", {}, {"allow": "GET,  POST,"})
    assert isinstance(error, MethodNotAllowed)
    assert error.allowed == ("GET", "POST")


def test_not_acceptable_keeps_what_is_available() -> None:
    error = received("not_acceptable", "", {"available": ["text/plain", 7]})
    assert isinstance(error, NotAcceptable)
    assert error.available == ("text/plain",)
    assert received("not_acceptable", "", {"available": "text"}).members == {"available": []}


def test_invalid_arguments_keep_their_pointers_and_the_example() -> None:
    members = {"errors": [{"pointer": "/a", "detail": "wrong", "type": "t", "more": 7}, "x"], "example": {"a": 1}}
    error = received("invalid_arguments", "", members)
    assert isinstance(error, InvalidArguments)
    assert error.errors == ({"pointer": "/a", "detail": "wrong", "type": "t", "more": "7"},)
    assert error.example == {"a": 1}
