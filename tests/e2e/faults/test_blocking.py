"""C8: code that blocks the event loop is named. C9: code that is deaf to its cancellation is left behind."""

import re
import time
from pathlib import Path

from figures import Figure
from served import REPOSITORY, Serve, receive

STUCK = "tests/e2e/faults/stuck.py"
BLOCKING_LINE = next(
    number
    for number, line in enumerate((REPOSITORY / STUCK).read_text("utf-8").splitlines(), 1)
    if "time.sleep" in line
)


def test_c8_the_line_that_blocks_the_loop_is_named_once(serve: Serve, figure: Figure) -> None:
    stuck = serve(STUCK, "--loop-limit", "0.5")
    connection = stuck.send("/generate", {"seconds": 2})
    receive(connection, b"now")
    blocked_since = time.monotonic()
    warning = stuck.line_with("HR07", within=10)
    figure("C8", "the line is named after, with a limit of 0.5 s, s", time.monotonic() - blocked_since, 1.0)
    figure("C8", "lines off", 0 if f"{STUCK}:{BLOCKING_LINE} time.sleep(seconds)" in warning else 1, 0)
    assert re.search(r"HR07 the event loop stood still \d+ ms in ", warning)
    assert "(Stuck.generate). Other streams waited. Use await asyncio.sleep, or def generate(...)" in warning
    receive(connection, b"done")
    connection.close()
    assert stuck.post("/generate", {"seconds": 1})[0] == 200
    assert "".join(stuck.output).count("HR07") == 1
    assert stuck.metric("headrace_loop_lag_seconds") > 1


def test_c8_the_example_of_the_page_says_what_the_page_says(serve: Serve, tmp_path: Path) -> None:
    page = (REPOSITORY / "docs" / "reference" / "mistakes.md").read_text("utf-8")
    section = page.partition("\n## HR07\n")[2].partition("\n## ")[0]
    source, told = re.findall(r"```(?:python|text)\n(.*?)```", section, re.DOTALL)
    (tmp_path / "app.py").write_text(source, encoding="utf-8")
    served = serve("app.py", folder=tmp_path)
    assert served.post("/write", {"topic": "rain"})[0] == 200
    warning = served.line_with("HR07", within=10)
    assert re.sub(r"\d+ ms", "N ms", warning).strip().endswith(re.sub(r"\d+ ms", "N ms", told).strip())


def test_c9_the_place_of_a_generator_that_does_not_stop_comes_back(serve: Serve, figure: Figure) -> None:
    stuck = serve(STUCK, "--max-concurrency", "1")
    connection = stuck.send("/deaf", {})
    receive(connection, b"I stay")
    connection.close()
    left_at = time.monotonic()
    assert stuck.post("/answer", {"after": 0})[0] == 200
    figure("C9", "place back after, s", time.monotonic() - left_at, 6.0)
    assert "Stuck.deaf did not stop within 5 s and is left behind" in stuck.line_with("left behind")
    stuck.line_with("await self.go_home.wait()", within=5)
    assert re.search(r'stuck\.py", line \d+, in deaf', "".join(stuck.output))
    assert stuck.metric("headrace_uncancellable_total", "Stuck.deaf") == 1
    assert stuck.metric("headrace_cancel_latency_seconds_count", "Stuck.deaf") == 1
    stuck.post("/release", {})
    stuck.until(lambda: stuck.state()["left"] == 2, within=5)
