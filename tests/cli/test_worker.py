"""The process that serves, as far as it gets when it cannot start. A server that answers is in tests/e2e."""

import logging
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from headrace.cli.launch import Launch
from headrace.cli.port import bind
from headrace.cli.worker import Worker
from headrace.config import Settings

APP = """\
from collections.abc import AsyncIterator
from headrace import endpoint, service

@service
class Chat:
    def __init__(self, path: str = "weights.bin") -> None:
        load(path)

    @endpoint
    async def write(self, topic: str) -> AsyncIterator[str]:
        yield topic

def load(path):
    raise RuntimeError("no weights")
"""


@pytest.fixture(autouse=True)
def _process() -> Iterator[None]:
    """What a worker changes in its process is put back."""
    root, ours = logging.getLogger(), logging.getLogger("headrace")
    kept = list(root.handlers), root.level, ours.level
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    root.handlers[:] = kept[0]
    root.setLevel(kept[1])
    ours.setLevel(kept[2])
    for number, handler in handlers.items():
        signal.signal(number, handler)


def serve(project: Any, target: str, **assignments: str) -> int:
    launch = Launch("run", project.find(target), assignments, Settings())
    with bind("127.0.0.1", 0) as listener:
        return Worker(launch, None).serve(listener)


def test_a_constructor_that_fails_is_told_with_the_users_line(
    project: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.folder)
    assert serve(project.write(app=APP), "app.py") == 3
    assert capsys.readouterr().err == (
        "HR12 Chat.__init__ raised RuntimeError: no weights\n"
        "  app.py:14\n"
        '    raise RuntimeError("no weights")\n'
        "    ^\n"
        "  A service that cannot start answers nothing, so the server does not start either.\n"
        "  fix: what line 14 needs must be there when the service starts\n"
    )


def test_mistakes_in_the_definition_are_shown_before_anything_is_constructed(
    project: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        serve(project.write(app=APP.replace("topic: str", "topic")), "app.py")
    assert ended.value.code == 3
    assert capsys.readouterr().err.startswith("HR05 Chat.write(topic)")


def test_an_assignment_that_does_not_fit_is_shown(project: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        serve(project.write(app=APP), "app.py", **{"Chat.paht": "x"})
    assert ended.value.code == 3
    assert capsys.readouterr().err.startswith('HR19 Chat.__init__ has no "paht". Did you mean "path"?')


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_signal_interrupts_an_import(project: Any, number: signal.Signals, code: int) -> None:
    project.write(app=f"import signal\nsignal.raise_signal({number.value})\n")
    assert serve(project, "app.py") == code


def test_ctrl_c_interrupts_a_constructor(project: Any) -> None:
    code = APP.replace('raise RuntimeError("no weights")', "import signal; signal.raise_signal(signal.SIGINT)")
    assert serve(project.write(app=code), "app.py") == 130
