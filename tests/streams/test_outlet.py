"""What is common to all outlets."""

import inspect

import pytest

from headrace.streams.channel import Channel
from headrace.streams.holding import HoldingOutlet
from headrace.streams.joining import JoiningOutlet
from headrace.streams.outlet import Outlet

OFFERED = [name for name in vars(Outlet) if not name.startswith("_")]


@pytest.mark.parametrize("outlet", [JoiningOutlet, HoldingOutlet, Channel])
def test_every_outlet_offers_what_a_stream_uses(outlet: type) -> None:
    assert len(OFFERED) > 5
    assert [name for name in OFFERED if not hasattr(outlet, name)] == []


@pytest.mark.parametrize("outlet", [JoiningOutlet, HoldingOutlet, Channel])
def test_every_method_of_an_outlet_takes_the_same_parameters(outlet: type) -> None:
    methods = [name for name in OFFERED if inspect.isfunction(getattr(Outlet, name))]
    for name in methods:
        assert list(inspect.signature(getattr(outlet, name)).parameters) == list(
            inspect.signature(getattr(Outlet, name)).parameters
        )
