"""`docs/howto/chat-page.md` shows the example `chat_page` as it is, and the example's decoder keeps the standard."""

import json
import re
import subprocess

from programs import needed
from served import REPOSITORY, Serve

PAGE = (REPOSITORY / "docs/howto/chat-page.md").read_text("utf-8")
EXAMPLE = REPOSITORY / "examples/chat_page"
DECODER_TESTS = "tests/browser/sse.test.mjs"


def test_the_decoder_passes_the_vectors_at_every_cut() -> None:
    needed("node", "nodejs")
    command = ["node", "--test", "--test-reporter=tap", DECODER_TESTS]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    passed = re.search(r"^# pass (\d+)$", done.stdout, re.MULTILINE)
    assert passed is not None
    assert int(passed[1]) > 85


def test_it_names_that_test_and_every_file_that_it_links_to() -> None:
    assert f"node --test {DECODER_TESTS}" in PAGE
    links = re.findall(r"\]\(([^)#]+)\)", PAGE)
    assert len(links) == 7
    assert all((REPOSITORY / "docs/howto" / link).is_file() for link in links)


def test_its_table_has_every_script_of_the_page() -> None:
    assert sorted(re.findall(r"^\| \[`(\w+\.js)`\]", PAGE, re.MULTILINE)) == sorted(
        path.name for path in (EXAMPLE / "page").glob("*.js")
    )


def test_the_line_that_names_the_engine_stands_in_the_example() -> None:
    (line,) = re.findall(r"^```python\n(.*)\n```$", PAGE, re.MULTILINE)
    assert (EXAMPLE / "chat_page.py").read_text("utf-8").endswith(f"\n{line}\n")


def test_the_example_serves_the_page_next_to_the_model(serve: Serve) -> None:
    served = serve("examples/chat_page/chat_page.py")
    status, headers, body = served.request("GET", "/")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert body == (EXAMPLE / "page/page.html").read_bytes()
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
    assert json.loads(served.request("GET", "/v1/models")[2])["data"][0]["id"] == "tiny"
    assert served.request("GET", "/chat_page.py")[0] == 404


def test_a_key_closes_the_page_too(serve: Serve) -> None:
    served = serve("examples/chat_page/chat_page.py", "--api-key", "k-1")
    assert "asks for it on every path, the page's too" in PAGE
    assert served.request("GET", "/")[0] == 401
    served.stop()


def test_the_page_loads_nothing_from_elsewhere() -> None:
    for path in (EXAMPLE / "page").iterdir():
        text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http" not in re.sub(r"https?://html\.spec", "", text).replace("HTTP", ""), path
