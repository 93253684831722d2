"""`langchain-openai`."""

from pathlib import Path
from typing import Any

import pytest
from client_cases import MADE

PROGRAM = Path(__file__).parent / "programs" / "langchain_program.py"


@pytest.fixture(scope="module")
def results(foreign_python: Path, run: Any) -> dict[str, dict[str, Any]]:
    made: dict[str, dict[str, Any]] = run(foreign_python, PROGRAM)
    return made


@pytest.mark.parametrize("case", ["text", "whole", "unicode", "length"])
def test_what_the_model_says_arrives(results: Any, case: str) -> None:
    assert {name: results[case].get(name) for name in MADE[case]} == MADE[case]


@pytest.mark.parametrize(("case", "cities"), [("call", ["Óbidos"]), ("calls", ["Óbidos", "Paris"])])
def test_function_calls_arrive_with_their_arguments_read(results: Any, case: str, cities: list[str]) -> None:
    ids = ["call_a", "call_b"]
    expected = [[id_, "weather", {"city": city}] for id_, city in zip(ids, cities, strict=False)]
    assert (results[case]["calls"], results[case]["finish"]) == (expected, "tool_calls")


@pytest.mark.parametrize(
    ("case", "error"),
    [("status 400", "ContextOverflow"), ("status 429", "RateLimit"), ("unauthorized", "Authentication")],
)
def test_a_refusal_is_raised_by_its_kind(results: Any, case: str, error: str) -> None:
    assert error in results[case]["error"]


def test_a_failure_in_the_middle_is_raised_after_what_came(results: Any) -> None:
    assert (results["broken"]["text"], results["broken"]["error"]) == ("so far", "APIError")


def test_the_model_s_place_is_free_within_100_ms_of_leaving(results: Any) -> None:
    seconds = results["left"]["freed"]
    assert seconds[len(seconds) // 2] < 0.1, seconds


def test_fifty_at_once_get_their_own(results: Any) -> None:
    assert results["fifty"] == MADE["fifty"]
