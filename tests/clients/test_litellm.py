"""`litellm`."""

from pathlib import Path
from typing import Any

import pytest
from client_cases import MADE

PROGRAM = Path(__file__).parent / "programs" / "litellm_program.py"


@pytest.fixture(scope="module")
def results(foreign_python: Path, run: Any) -> dict[str, dict[str, Any]]:
    made: dict[str, dict[str, Any]] = run(foreign_python, PROGRAM)
    return made


@pytest.mark.parametrize("case", ["text", "whole", "unicode", "length", "reasoning", "call", "calls", "fifty"])
def test_what_the_model_says_arrives(results: Any, case: str) -> None:
    assert {name: results[case].get(name) for name in MADE[case]} == MADE[case]


@pytest.mark.parametrize(
    ("case", "error"),
    [
        ("status 400", "ContextWindowExceededError"),
        ("status 429", "RateLimitError"),
        ("status 503", "ServiceUnavailableError"),
        ("unauthorized", "AuthenticationError"),
        ("unknown model", "NotFoundError"),
    ],
)
def test_a_refusal_is_raised_by_its_kind(results: Any, case: str, error: str) -> None:
    assert results[case]["error"] == error


def test_a_failure_in_the_middle_is_raised_after_what_came(results: Any) -> None:
    assert results["broken"]["text"] == "so far"
    assert results["broken"]["error"] is not None
