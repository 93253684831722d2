import pytest

from headrace.engines.refusals import ContextTooLong, entry
from headrace.errors import InvalidArguments, NotFound
from headrace.openai.body import wrong
from headrace.openai.refusals import ModelNotFound, model_not_found
from headrace.openai.renaming import renamed

NAMES = {"/response_format": "/text/format", "/stop": "/stop_sequences"}


@pytest.mark.parametrize(
    ("pointer", "told", "message"),
    [
        ("/response_format", "/text/format", "text.format: no"),
        ("/stop/3", "/stop_sequences/3", "stop_sequences[3]: no"),
        ("/temperature", "/temperature", "temperature: no"),
        ("/stopped", "/stopped", "stopped: no"),
    ],
)
def test_a_value_goes_by_the_name_of_the_api(pointer: str, told: str, message: str) -> None:
    error = renamed(wrong(pointer, "no", "unsupported"), NAMES)
    assert isinstance(error, InvalidArguments)
    assert error.errors == ({"pointer": told, "detail": "no", "type": "unsupported"},)
    assert error.message == message


def test_an_error_about_the_whole_body_stays_as_it_is() -> None:
    error = renamed(InvalidArguments("no", [entry("", "no", "x")]), NAMES)
    assert (error.message, error.members["errors"][0]["pointer"]) == ("no", "")


def test_a_message_of_another_form_stays_as_it_is() -> None:
    error = renamed(InvalidArguments("too long; see response_format: no", [entry("/stop", "no", "x")]), NAMES)
    assert (error.message, error.members["errors"][0]["pointer"]) == (
        "too long; see response_format: no",
        "/stop_sequences",
    )


def test_the_class_and_the_status_stay() -> None:
    long = renamed(ContextTooLong("long", [entry("/stop", "long", "x")]), NAMES)
    unknown = renamed(model_not_found("no such model"), NAMES)
    assert (type(long), long.code) == (ContextTooLong, "context_length_exceeded")
    assert (type(unknown), unknown.status) == (ModelNotFound, 404)


def test_other_errors_pass() -> None:
    error, empty = NotFound("a"), InvalidArguments("a", [])
    assert renamed(error, NAMES) is error
    assert renamed(empty, NAMES) is empty
