"""What these tests share: a clock that waits for nobody."""

from dataclasses import dataclass, field

import pytest

from headrace.engines.openai_upstream.measures import Clock


@dataclass
class Hands:
    """Of a clock. `slept`: the pauses that were asked for; each is over at once."""

    time: float = 100.0
    slept: list[float] = field(default_factory=list)

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.time, self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds


@pytest.fixture
def hands() -> Hands:
    return Hands()
