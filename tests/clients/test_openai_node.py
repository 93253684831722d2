"""The package `openai` of npm."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from client_cases import MADE, REFUSALS

PROGRAMS = Path(__file__).parent / "node"


@pytest.fixture(scope="module")
def results(node_folder: Path, run: Any) -> dict[str, dict[str, Any]]:
    for program in PROGRAMS.iterdir():  # a program finds packages beside itself
        shutil.copy(program, node_folder)
    made: dict[str, dict[str, Any]] = run("node", node_folder / "openai.mjs")
    return made


@pytest.mark.parametrize("case", MADE)
def test_what_the_model_says_arrives(results: Any, case: str) -> None:
    assert {name: results[case].get(name) for name in MADE[case]} == MADE[case]


@pytest.mark.parametrize("case", ["text", "call", "calls"])
def test_the_package_s_own_accumulator_takes_it(results: Any, case: str) -> None:
    made = results[f"accumulated {case}"]
    wanted = {name: value for name, value in MADE[case].items() if name != "usage"}
    assert {name: made.get(name) for name in wanted} == wanted


@pytest.mark.parametrize(("case", "error", "status", "code"), REFUSALS)
def test_a_refusal_is_the_package_s_error_of_its_status(
    results: Any, case: str, error: str, status: int, code: str
) -> None:
    made = results[case]
    assert (made["error"], made["status"], made["code"]) == (error, status, code)


@pytest.mark.parametrize("case", ["broken", "crashed"])
def test_a_failure_in_the_middle_is_raised_after_what_came(results: Any, case: str) -> None:
    assert (results[case]["text"], results[case]["error"]) == ("so far", "APIError")


@pytest.mark.parametrize("case", ["left", "left early"])
def test_the_model_s_place_is_free_within_100_ms_of_leaving(results: Any, case: str) -> None:
    seconds = results[case]["freed"]
    assert seconds[len(seconds) // 2] < 0.1, seconds


def test_the_events_of_a_response_are_numbered(results: Any) -> None:
    made = results["response"]
    assert made["numbers"] == list(range(len(made["kinds"])))
    assert (made["kinds"][0], made["kinds"][-1]) == ("response.created", "response.completed")


def test_the_package_accepts_the_order_of_a_response(results: Any) -> None:
    made = results["final response"]
    assert (made["text"], made["finish"]) == ("Hello, world", "completed")


def test_a_function_call_of_a_response_arrives(results: Any) -> None:
    assert results["response call"]["calls"] == MADE["call"]["calls"]
