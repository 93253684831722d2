"""One value per parameter and call becomes one list per parameter."""

from collections.abc import Callable
from typing import Any

import pytest

from headrace.batching.arguments import Parameters


def generate(prompts: list[str], temperature: float = 0.7, *, top: int = 5) -> None: ...


def only(prompts: list[str], /) -> None: ...


@pytest.mark.parametrize(
    ("args", "kwargs", "values"),
    [
        (("a",), {}, ("a", 0.7, 5)),
        (("a", 0.1), {}, ("a", 0.1, 5)),
        ((), {"prompts": "a", "top": 1}, ("a", 0.7, 1)),
        (("a",), {"temperature": 0.1, "top": 1}, ("a", 0.1, 1)),
    ],
)
def test_a_call_binds_as_a_plain_one_with_its_defaults(args: Any, kwargs: Any, values: Any) -> None:
    assert Parameters.of("generate", generate).values(args, kwargs) == values


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((), {}, "missing a required argument: 'prompts'"),
        (("a", 1, 2), {}, "too many positional arguments"),
        (("a",), {"heat": 1}, "got an unexpected keyword argument 'heat'"),
        (("a",), {"prompts": "b"}, "multiple values for argument 'prompts'"),
    ],
)
def test_arguments_that_do_not_fit_are_told_with_the_function(args: Any, kwargs: Any, message: str) -> None:
    with pytest.raises(TypeError) as caught:
        Parameters.of("generate", generate).values(args, kwargs)
    assert str(caught.value).startswith("generate(prompts: list[str], temperature: float = 0.7, *, top: int = 5): ")
    assert message in str(caught.value)


def test_positional_only_parameters_stay_so() -> None:
    assert Parameters.of("only", only).values(("a",), {}) == ("a",)
    with pytest.raises(TypeError):
        Parameters.of("only", only).values((), {"prompts": "a"})


def test_each_parameter_gets_the_list_of_its_values() -> None:
    calls = [("a", 0.7, 5), ("b", 0.1, 9)]
    assert Parameters.of("generate", generate).lists(calls) == ([["a", "b"], [0.7, 0.1]], {"top": [5, 9]})
    assert Parameters.of("only", only).lists([("a",), ("b",)]) == ([["a", "b"]], {})


def test_a_method_has_an_instance_before_them() -> None:
    def method(self: Any, prompts: list[str]) -> None: ...

    parameters = Parameters.of("method", method).of_method()
    assert parameters.values(("a",), {}) == ("a",)
    assert parameters.values((), {"prompts": "a"}) == ("a",)


def every(*prompts: str) -> None: ...


def options(prompts: list[str], **named: str) -> None: ...


def nothing() -> None: ...


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (every, r"every\(\*prompts\) cannot be batched: name each parameter; it becomes a list of values"),
        (options, r"options\(\*\*named\) cannot be batched: name each parameter"),
        (nothing, r"nothing\(\) cannot be batched: it needs a parameter, the list of what each caller passes"),
    ],
)
def test_parameters_that_cannot_be_lists_are_refused(function: Callable[..., Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        Parameters.of(function.__name__, function)


def test_a_method_needs_a_parameter_besides_its_instance() -> None:
    def method(self: Any) -> None: ...

    with pytest.raises(TypeError, match=r"method\(\) cannot be batched"):
        Parameters.of("method", method).of_method()
