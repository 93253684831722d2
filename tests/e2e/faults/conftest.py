"""Figures of the fault rows: what was asked, what was reached, printed as a table at the end of the run."""

from collections.abc import Callable

import pytest

REACHED: list[tuple[str, str, float, float]] = []

Figure = Callable[[str, str, float, float], None]


@pytest.fixture
def figure() -> Figure:
    """`figure("A1", "freed after, s", reached, asked)`: records the figure of a row, and fails when it is not reached."""

    def record(row: str, what: str, reached: float, asked: float) -> None:
        REACHED.append((row, what, reached, asked))
        assert reached <= asked, f"{row}: {what}: {reached:g}, asked {asked:g}"

    return record


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not REACHED:
        return
    terminalreporter.section("faults: figures")
    terminalreporter.write_line(f"{'row':<5}{'reached':>12}{'asked':>12}  what")
    for row, what, reached, asked in sorted(REACHED, key=lambda each: (each[0][0], int(each[0][1:]))):
        terminalreporter.write_line(f"{row:<5}{reached:>12.4g}{asked:>12.4g}  {what}")
