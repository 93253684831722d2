"""docs/howto/dialects.md: its program is served, and its curl lines print what stands below them."""

import re
import subprocess
from pathlib import Path

import pytest
from served import REPOSITORY, Serve

PAGE = (REPOSITORY / "docs" / "howto" / "dialects.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
(PROGRAM,) = [body for language, body in BLOCKS if language == "python"]
CURL = [body for _, body in BLOCKS if body.startswith("$ curl")]


@pytest.mark.parametrize("block", CURL, ids=["streamed", "gathered", "refused"])
def test_the_curl_lines_of_the_page_print_what_stands_below_them(serve: Serve, tmp_path: Path, block: str) -> None:
    (tmp_path / "app.py").write_text(PROGRAM)
    served = serve("app.py", folder=tmp_path)
    line, _, expected = block.partition("\n")
    command = line.removeprefix("$ curl ").replace("localhost:8000", f"127.0.0.1:{served.port}")
    done = subprocess.run(f"curl -sS {command}", shell=True, capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout == expected
