"""What the decoders' tests share: the ways in which one sequence of bytes can arrive."""

from collections.abc import Callable, Iterator

import pytest

Cuts = Callable[[bytes], Iterator[list[bytes]]]


@pytest.fixture(scope="session")
def ways_to_arrive() -> Cuts:
    """Whole, byte by byte, and in two pieces cut at every place."""

    def ways(data: bytes) -> Iterator[list[bytes]]:
        yield [data]
        yield [data[place : place + 1] for place in range(len(data))]
        for place in range(len(data) + 1):
            yield [data[:place], data[place:]]

    return ways
