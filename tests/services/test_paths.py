"""Paths with named parts: what they fit, and what they are filled with."""

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.services.paths import PathPattern, read_pattern


def pattern(path: str) -> PathPattern:
    found = read_pattern(path)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("path", "asked", "parts"),
    [
        ("/models/{model}", "/models/tiny", {"model": "tiny"}),
        ("/models/{model}", "/models/a b%2F\u00e9", {"model": "a b%2F\u00e9"}),
        ("/models/{model}", "/models/", None),
        ("/models/{model}", "/models", None),
        ("/models/{model}", "/models/a/b", None),
        ("/models/{model}", "/models/tiny/", None),
        ("/models/{model}/last", "/models/tiny/last", {"model": "tiny"}),
        ("/models/{model}/last", "/models/tiny/last\n", None),
        ("/models/{model:path}", "/models/a/b", {"model": "a/b"}),
        ("/models/{model:path}", "/models/", {"model": ""}),
        ("/a.b/{x}", "/aXb/c", None),
        ("/{a}-{b}/{c}", "/x-y/z", {"a": "x", "b": "y", "c": "z"}),
        ("/pages/{n:int}", "/pages/12", {"n": "12"}),
        ("/pages/{n:int}", "/pages/one", None),
    ],
)
def test_a_path_fits_or_does_not(path: str, asked: str, parts: dict[str, str] | None) -> None:
    assert pattern(path).match(asked) == parts


def test_an_exact_path_is_no_pattern() -> None:
    assert read_pattern("/models") is None


@pytest.mark.parametrize(
    ("path", "message"),
    [("/{a}/{a}", "Duplicated param name a at path /{a}/{a}"), ("/{a:words}", "Unknown path convertor 'words'")],
)
def test_a_path_that_starlette_cannot_compile_is_refused(path: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_pattern(path)


def test_kinds_and_names_are_not_in_the_shape() -> None:
    assert pattern("/models/{model:path}/{n}").shape == pattern("/models/{name}/{page:int}").shape == "/models/{}/{}"
    assert pattern("/models/{model}").shape != pattern("/voices/{model}").shape


def test_the_template_has_the_names_and_no_kinds() -> None:
    found = pattern("/files/{name:path}/pages/{n:int}")
    assert (found.template, found.names) == ("/files/{name}/pages/{n}", ("name", "n"))


@pytest.mark.parametrize(("path", "text"), [("/{a}", 1), ("/a/{b}", 3), ("/a/{long_name:path}", 3), ("/a/{b}/c", 5)])
def test_what_is_written_out_is_counted(path: str, text: int) -> None:
    assert pattern(path).text == text


def test_a_path_is_filled_with_encoded_parts() -> None:
    filled = pattern("/files/{name:path}/pages/{n}").fill({"name": "a b/\u00e9?#%2F", "n": 3})
    assert filled == "/files/a%20b/%C3%A9%3F%23%252F/pages/3"


@given(st.text(min_size=1).filter(lambda text: "/" not in text and max(text) < "\ud800"))
def test_what_a_path_is_filled_with_comes_out_again(text: str) -> None:
    found = pattern("/files/{name}/last")
    assert found.match(unquote(found.fill({"name": text}))) == {"name": text}
