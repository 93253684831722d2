"""`docs/faults.md` has every row, and every row that is not open has a test file that knows it."""

import re
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parent.parent.parent / "docs" / "faults.md"
SECTIONS = {"A": 12, "B": 8, "C": 9, "E": 6, "F": 4, "G": 6, "H": 11, "I": 7}
MORE = ["J5", "D5"]
COLUMNS = 6
OVER_WEBSOCKETS = "## The same rows over WebSockets"


def rows() -> dict[str, list[str]]:
    """Those of all sections but the one on WebSockets, by their names."""
    before, _, after = PAGE.read_text(encoding="utf-8").partition(OVER_WEBSOCKETS)
    return {row[0]: row for row in table(before + after[after.index("\n## ") :])}


def table(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if re.match(r"\| [A-J]\d+(, [A-J]\d+)* \|", line)]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_row_is_there_in_order() -> None:
    expected = [f"{section}{number}" for section, count in SECTIONS.items() for number in range(1, count + 1)]
    assert list(rows()) == [*expected, *MORE]


def test_every_row_says_what_is_asked() -> None:
    assert [row for row, cells in rows().items() if len(cells) != COLUMNS or not cells[1] or not cells[2]] == []


def test_a_row_is_tested_in_the_files_it_names_or_open_with_its_reason() -> None:
    wrong = []
    for row, (*_, reached, plain, test) in rows().items():
        if test.startswith("open: "):
            if reached or plain or len(test) < 20:
                wrong.append(f"{row}: open, and yet something was reached, or no reason")
            continue
        files = re.findall(r"`(test_\w+\.py)`", test)
        if not files or not reached or not re.match(r"(yes|no|-)(: |$)", plain):
            wrong.append(f"{row}: no file, nothing reached, or no word on the plain server")
        wrong += [f"{row}: {file} does not know it" for file in files if not is_known(row, HERE / file)]
    assert wrong == []


def test_a_row_over_websockets_is_one_of_the_others_and_tested_in_the_file_it_names() -> None:
    _, _, after = PAGE.read_text(encoding="utf-8").partition(OVER_WEBSOCKETS)
    section = table(after[: after.index("\n## ")])
    assert len(section) > 20
    for names, _fault, asked, reached, test in section:
        assert asked
        assert reached
        for row in names.split(", "):
            assert row in rows()
            assert [is_known(row, HERE / file) for file in re.findall(r"`(test_\w+\.py)`", test)] == [True], row


def is_known(row: str, file: Path) -> bool:
    """Whether the file is there and names the row: `A1`, `test_a1_...`, or within `A1-A7`."""
    if not file.is_file():
        return False
    text = file.read_text(encoding="utf-8")
    if re.search(rf"(?<![A-Za-z0-9]){row}(?![0-9])", text, re.IGNORECASE):
        return True
    spans = re.findall(rf"\b{row[0]}(\d+)-{row[0]}(\d+)\b", text)
    return any(int(first) <= int(row[1:]) <= int(last) for first, last in spans)


def test_every_row_that_a_test_gives_a_figure_for_is_on_the_page() -> None:
    recorded = set()
    for file in sorted(HERE.glob("test_*.py")):
        recorded |= set(re.findall(r'figure\(\s*"([A-Z]\d+)"', file.read_text(encoding="utf-8")))
    assert recorded - set(rows()) == set()
