"""What the page about testing shows is run as it stands there."""

import re
import subprocess
import sys
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "testing.md").read_text("utf-8")
FILES = re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_every_block_of_the_page_is_a_file_that_passes(tmp_path: Path) -> None:
    for name, code in FILES:
        (tmp_path / name).write_text(code)
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert "12 passed" in done.stdout, done.stdout + done.stderr


def test_the_page_has_no_block_that_is_not_run() -> None:
    assert PAGE.count("```python") == len(FILES) == 9


def test_the_page_names_everything_that_the_kit_has() -> None:
    for name in ("FlakyTransport", "SlowReader", "assert_all_ended", "connect", "run", "serving"):
        assert re.search(rf"from headrace\.testing import .*\b{name}\b", PAGE)
