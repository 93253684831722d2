"""The public surface of `import headrace`: short, explicit, written out here."""

import importlib

import headrace

NAMES = [
    "Event",
    "Footer",
    "Handle",
    "Header",
    "Stream",
    "StreamError",
    "__version__",
    "asgi",
    "asgi_app",
    "context",
    "depends",
    "endpoint",
    "opened",
    "service",
]


def test_the_public_names_are_these() -> None:
    assert headrace.__all__ == NAMES


def test_the_public_names_are_sorted() -> None:
    assert headrace.__all__ == sorted(headrace.__all__)


def test_there_are_at_most_twenty_public_names() -> None:
    assert len(headrace.__all__) <= 20


def test_every_public_name_is_there() -> None:
    module = importlib.import_module("headrace")
    assert [name for name in headrace.__all__ if not hasattr(module, name)] == []
