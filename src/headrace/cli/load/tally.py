"""The numbers of one run. Answers that failed are counted by kind, and are in no duration and no throughput."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from headrace.cli.load.answer import Answer, Failed
from headrace.cli.load.distribution import Distribution
from headrace.cli.load.reading import PieceReader

MAX_KINDS = 20
"""Of failures; a server chooses the names of its errors. All others are counted as one."""

OTHER = "other"


@dataclass(slots=True)
class Tally:
    """One run so far; durations are in seconds.

    Attributes:
        completed: answers that came whole.
        counted: those of them whose tokens the server told.
        unrecorded: those of them without records, whose items are reads of the network.
        unfinished: answers that were under way when the run ended.
        late: requests that were due while all connections were busy.
        examples: what the first failure of each kind said.
        ttft, tpot, itl, e2el: times to the first item, per token after it, between items, and to the end.
        server, elsewhere: the parts of `ttft` that the server says it took, and the rest.
        seconds, cpu_seconds: of the run; the time that this process has worked in it.
    """

    completed: int = 0
    counted: int = 0
    unrecorded: int = 0
    unfinished: int = 0
    late: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    ttft: Distribution = field(default_factory=Distribution)
    tpot: Distribution = field(default_factory=Distribution)
    itl: Distribution = field(default_factory=Distribution)
    e2el: Distribution = field(default_factory=Distribution)
    server: Distribution = field(default_factory=Distribution)
    elsewhere: Distribution = field(default_factory=Distribution)
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    @property
    def failed(self) -> int:
        """Answers that did not come whole, whatever the reason."""
        return self.failures.total()

    def add(self, answer: Answer) -> None:
        """One that has ended."""
        if answer.failed is not None:
            self.fail(answer.failed)
            return
        assert answer.ended is not None
        self.completed += 1
        self.output_tokens += answer.tokens
        if answer.reader is not None and answer.reader.output_tokens is not None:
            self.counted += 1
            self.input_tokens += answer.reader.input_tokens or 0
        self.unrecorded += isinstance(answer.reader, PieceReader)
        self.e2el.add(answer.ended - answer.started)
        self.itl.merge(answer.gaps)
        if answer.first is None:
            return
        first = answer.first - answer.started
        self.ttft.add(first)
        if answer.tokens > 1:
            self.tpot.add((answer.ended - answer.first) / (answer.tokens - 1))
        if answer.server_first_item is not None:
            server = min(answer.server_first_item, first)  # it is rounded
            self.server.add(server)
            self.elsewhere.add(first - server)

    def fail(self, failed: Failed) -> None:
        """One that did not come whole."""
        kind = failed.kind if failed.kind in self.failures or len(self.failures) < MAX_KINDS else OTHER
        self.failures[kind] += 1
        self.examples.setdefault(kind, failed.message)
