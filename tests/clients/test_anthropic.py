"""The `anthropic` package, at `/v1/messages`."""

from pathlib import Path
from typing import Any

import pytest
from client_cases import ZOO

PROGRAM = Path(__file__).parent / "programs" / "anthropic_program.py"


@pytest.fixture(scope="module")
def results(foreign_python: Path, run: Any) -> dict[str, dict[str, Any]]:
    made: dict[str, dict[str, Any]] = run(foreign_python, PROGRAM)
    return made


@pytest.mark.parametrize(
    ("case", "text", "finish"),
    [
        ("text", "Hello, world", "end_turn"),
        ("whole", "Hello, world", "end_turn"),
        ("unicode", ZOO, "end_turn"),
        ("length", "cut", "max_tokens"),
        ("reasoning", "Yes.", "end_turn"),
    ],
)
def test_what_the_model_says_arrives(results: Any, case: str, text: str, finish: str) -> None:
    assert (results[case]["text"], results[case]["finish"]) == (text, finish)


def test_what_it_thinks_is_a_block_of_its_own(results: Any) -> None:
    assert results["reasoning"]["reasoning"] == "Let me see."


@pytest.mark.parametrize("case", ["text", "whole"])
def test_the_tokens_are_told(results: Any, case: str) -> None:
    assert results[case]["usage"] == [3, 2]


@pytest.mark.parametrize(
    ("case", "text", "cities"), [("call", "", ["Óbidos"]), ("calls", "Two: ", ["Óbidos", "Paris"])]
)
def test_function_calls_arrive_with_their_arguments_read(results: Any, case: str, text: str, cities: list[str]) -> None:
    made = results[case]
    assert [[name, given] for _, name, given in made["calls"]] == [["weather", {"city": city}] for city in cities]
    assert (made["text"], made["finish"]) == (text, "tool_use")


def test_the_events_come_in_their_order(results: Any) -> None:
    assert results["events"]["kinds"] == [
        "message_start",
        "content_block_start",
        *["content_block_delta"] * 3,
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


@pytest.mark.parametrize(
    ("case", "error", "status"),
    [
        ("status 400", "BadRequestError", 400),
        ("status 429", "RateLimitError", 429),
        ("status 500", "InternalServerError", 500),
        ("unauthorized", "AuthenticationError", 401),
        ("unknown model", "NotFoundError", 404),
    ],
)
def test_a_refusal_is_the_package_s_error_of_its_status(results: Any, case: str, error: str, status: int) -> None:
    assert (results[case]["error"], results[case]["status_code"]) == (error, status)


def test_a_failure_in_the_middle_is_raised_after_what_came(results: Any) -> None:
    assert results["broken"]["text"] == "so far"
    assert results["broken"]["error"] is not None


def test_a_key_opens_the_server(results: Any) -> None:
    assert results["authorized"]["text"] == "Hello, world"


def test_the_model_s_place_is_free_within_100_ms_of_leaving(results: Any) -> None:
    seconds = results["left"]["freed"]
    assert seconds[len(seconds) // 2] < 0.1, seconds
