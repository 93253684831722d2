"""The `openai` package of Python, its second and its third major version."""

import importlib.metadata
import sys
from pathlib import Path
from typing import Any

import pytest
from client_cases import MADE, REFUSALS

PROGRAM = Path(__file__).parent / "programs" / "openai_python.py"
TEXT_RUN = [
    "response.created",
    "response.in_progress",
    "response.output_item.added",
    "response.content_part.added",
    *["response.output_text.delta"] * 3,
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.completed",
]


@pytest.fixture(scope="module", params=[2, 3])
def results(request: pytest.FixtureRequest, run: Any) -> dict[str, dict[str, Any]]:
    python = sys.executable if request.param == 3 else request.getfixturevalue("foreign_python")
    made: dict[str, dict[str, Any]] = run(python, PROGRAM)
    assert made["version"]["version"].startswith(f"{request.param}.")
    return made


@pytest.mark.parametrize("case", MADE)
def test_what_the_model_says_arrives(results: Any, case: str) -> None:
    assert {name: results[case].get(name) for name in MADE[case]} == MADE[case]


@pytest.mark.parametrize("case", ["text", "unicode", "calls"])
def test_it_arrives_at_the_client_that_does_not_block_too(results: Any, case: str) -> None:
    made = results[f"async {case}"]
    assert {name: made.get(name) for name in MADE[case]} == MADE[case]


@pytest.mark.parametrize(("case", "error", "status", "code"), REFUSALS)
def test_a_refusal_is_the_package_s_error_of_its_status(
    results: Any, case: str, error: str, status: int, code: str
) -> None:
    made = results[case]
    assert (made["error"], made["status_code"], made["code"]) == (error, status, code)
    assert made["request_id"]


def test_empty_messages_name_the_parameter(results: Any) -> None:
    assert results["no messages"]["param"] == "messages"


@pytest.mark.parametrize("case", ["broken", "crashed"])
def test_a_failure_in_the_middle_is_raised_after_what_came(results: Any, case: str) -> None:
    assert (results[case]["text"], results[case]["error"]) == ("so far", "APIError")
    assert "secret" not in results[case]["says"]


@pytest.mark.parametrize("case", ["left", "left early"])
def test_the_model_s_place_is_free_within_100_ms_of_leaving(results: Any, case: str) -> None:
    seconds = results[case]["freed"]
    assert seconds[len(seconds) // 2] < 0.1, seconds


def test_a_stop_string_ends_the_answer_of_a_real_model(results: Any) -> None:
    made = results["stopped"]
    assert (made["text"], made["finish"]) == (made["expected"], "stop")


def test_a_key_opens_the_server(results: Any) -> None:
    assert results["authorized"]["text"] == "Hello, world"


def test_azure_s_client_is_answered(results: Any) -> None:
    assert (results["azure"]["text"], results["azure"]["finish"]) == ("Hello, world", "stop")


def test_the_events_of_a_response_come_in_their_order(results: Any) -> None:
    assert results["response"]["kinds"] == TEXT_RUN
    assert results["response"]["numbers"] == list(range(len(TEXT_RUN)))


def test_the_package_accepts_the_order_of_a_response(results: Any) -> None:
    made = results["final response"]
    assert (made["text"], made["finish"], made["usage"]) == ("Hello, world", "completed", [3, 2])


def test_a_function_call_of_a_response_arrives(results: Any) -> None:
    assert results["response call"]["calls"] == MADE["call"]["calls"]


def test_a_response_that_breaks_is_raised(results: Any) -> None:
    made = results["broken response"]
    assert made["error"] == "APIError"
    assert "response.completed" not in made["kinds"]


def test_the_third_version_is_the_one_of_the_tests_own_environment() -> None:
    assert importlib.metadata.version("openai").startswith("3.")
