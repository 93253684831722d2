"""A driver without a network or a clock: it plays what a server would do, and keeps what it was asked for."""

from collections.abc import Iterable
from typing import Any

from headrace.client.steps import Close, Head, Look, Operation, Pause, Receive, Say, Send, Steps, T

NDJSON = Head(200, {"content-type": "application/x-ndjson", "headrace-stream-id": "s_1"}, framed=True)


class Script:
    """Answers each operation but `Pause` and `Close` with the next of the answers; an exception is raised.

    An answer may be a pair of the seconds that it takes, on the clock that is `now`, and itself.
    """

    def __init__(self, *answers: Any) -> None:
        self.time = 100.0
        self.asked: list[Operation] = []
        self._answers = list(answers)

    def now(self) -> float:
        return self.time

    def add(self, *answers: Any) -> None:
        self._answers += answers

    def run(self, steps: Steps[T]) -> T:
        result: Any = None
        error: BaseException | None = None
        while True:
            try:
                operation = steps.send(result) if error is None else steps.throw(error)
            except StopIteration as stop:
                value: T = stop.value
                return value
            result, error = self._perform(operation)

    def _perform(self, operation: Operation) -> tuple[Any, BaseException | None]:
        self.asked.append(operation)
        if isinstance(operation, Close):
            return None, None
        if isinstance(operation, Pause):
            self.time += operation.seconds
            return None, None
        assert isinstance(operation, (Look, Send, Receive, Say))
        answer = self._answers.pop(0)
        if isinstance(answer, tuple):
            seconds, answer = answer
            self.time += seconds
        return (None, answer) if isinstance(answer, BaseException) else (answer, None)

    def kinds(self) -> list[type[Operation]]:
        return [type(operation) for operation in self.asked]


def only(operations: Iterable[Operation], kind: type[T]) -> list[T]:
    return [operation for operation in operations if isinstance(operation, kind)]
