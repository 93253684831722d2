"""The words between the protocol and its drivers."""

import dataclasses

import pytest

from headrace.client.steps import Close, Head, Pause, Receive, SourceFailed


def test_operations_are_values() -> None:
    assert Receive(1.0) == Receive(1.0) != Receive(None)
    assert Close() == Close()
    with pytest.raises(dataclasses.FrozenInstanceError):
        Pause(1.0).seconds = 2.0  # type: ignore[misc]


def test_a_head_is_what_was_sent() -> None:
    head = Head(200, {"a": "b"}, framed=True)
    assert (head.status, head.headers["a"], head.framed) == (200, "b", True)


def test_the_callers_own_error_is_carried_whole() -> None:
    mine = KeyError("mine")
    assert SourceFailed(mine).error is mine
    assert str(SourceFailed(mine)) == "KeyError('mine')"
