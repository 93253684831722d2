"""The page of the example `speak` in a real browser: how it looks, and what the browser holds it to.

The screenshots go to the test's folder, or to the one that HEADRACE_SCREENSHOTS names: look at them after a change.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from served import Served
from visit import INSECURE, Visit

LONG = "The water comes down the headrace, and the wheel begins to turn. " * 8
FAILING = "This voice will break before the text has come to its end, and the page must say so at once."
SECONDS = 1.5  # of sound before a screenshot of the waveform is worth a look


def speak_for_a_while(visit: Visit) -> None:
    visit.say(LONG)
    visit.until(lambda: visit.figure("played") > SECONDS * 22_050)


def test_while_it_speaks_the_waveform_and_the_meters_move(visit: Visit) -> None:
    assert visit.drawn() == 0
    speak_for_a_while(visit)
    assert visit.drawn() > 500
    assert 0 < visit.figure("buffered") <= 2000
    assert 10 <= visit.figure("rate") <= 45
    level, buffer = (visit.page.get_by_role("meter", name=name) for name in ("Level", "Buffered"))
    assert -60 < int(level.get_attribute("aria-valuenow") or -60) <= 0
    assert 0 < int(buffer.get_attribute("aria-valuenow") or 0) <= 2000


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_looks_well_in_every_state(visit: Visit, scheme: Literal["light", "dark"], tmp_path: Path) -> None:
    folder = Path(os.environ.get("HEADRACE_SCREENSHOTS") or tmp_path)

    def take(state: str) -> None:
        visit.page.wait_for_timeout(150)  # what moves has come to rest
        visit.page.screenshot(path=folder / f"{state}-{scheme}.png", full_page=True)

    visit.page.emulate_media(color_scheme=scheme)
    take("connected")
    speak_for_a_while(visit)
    take("speaking")
    visit.click("Stop")
    take("stopped")
    visit.say(FAILING)
    visit.until(lambda: visit.error != "")
    take("failed")
    visit.page.set_viewport_size({"width": 390, "height": 844})
    speak_for_a_while(visit)
    take("narrow")
    assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert len(list(folder.glob(f"*-{scheme}.png"))) == 5


def test_with_reduced_motion_the_waveform_is_written_from_the_left(visit: Visit) -> None:
    visit.page.emulate_media(reduced_motion="reduce")
    speak_for_a_while(visit)
    left = "canvas => canvas.getContext('2d').getImageData(0, 0, 40, canvas.height / 3).data.some(Boolean)"
    assert visit.page.locator("#wave").evaluate(left)
    assert visit.page.locator("#level-bar span").evaluate("bar => getComputedStyle(bar).transitionDuration") == "0s"


def test_the_keyboard_reaches_everything_in_its_order(visit: Visit) -> None:
    speak_for_a_while(visit)
    visit.page.locator("body").evaluate("body => { document.activeElement.blur(); getSelection().empty(); }")
    reached = []
    visit.page.get_by_label("Text to say").focus()
    for _ in range(3):
        reached.append(visit.page.evaluate("document.activeElement.id"))
        visit.page.keyboard.press("Tab")
    assert reached == ["text", "speak", "stop"]


@pytest.mark.parametrize(
    ("attempt", "refused"),
    [
        ("document.body.append(Object.assign(document.createElement('script'), {text: '1'}))", "script-src-elem"),
        (
            "document.body.append(Object.assign(document.createElement('style'), {textContent: '*{}'}))",
            "style-src-elem",
        ),
        ("document.body.setAttribute('onclick', '1')", "script-src-attr"),
        ("fetch('http://127.0.0.2:9/').catch(() => null)", "connect-src"),
        ("new WebSocket('ws://127.0.0.2:9/')", "connect-src"),
        ("document.body.append(Object.assign(new Image(), {src: 'http://127.0.0.2:9/'}))", "img-src"),
        ("document.body.append(Object.assign(document.createElement('iframe'), {src: '/'}))", "frame-src"),
    ],
    ids=["script", "style", "handler", "fetch", "websocket", "image", "frame"],
)
def test_the_policy_refuses_what_is_not_the_pages_own(visit: Visit, attempt: str, refused: str) -> None:
    directive = visit.page.evaluate(
        "() => new Promise((resolve) => {"
        "  document.addEventListener('securitypolicyviolation', (event) => resolve(event.effectiveDirective));"
        "  setTimeout(() => resolve('nothing was refused'), 2000);"
        f" {attempt};"
        "})"
    )
    assert directive == refused
    visit.until(lambda: visit.problems != [])
    visit.problems.clear()


def test_a_page_that_is_not_secure_says_what_to_do(speaker: Served, arrive: Callable[..., Visit]) -> None:
    visit = arrive(speaker, host=INSECURE)
    assert visit.shown("#connection") == "Not secure"
    assert "only on pages that come over https or from localhost" in visit.error
    assert visit.problems == []


def test_a_page_that_is_not_secure_plays_the_wav_file(speaker: Served, arrive: Callable[..., Visit]) -> None:
    visit = arrive(speaker, host=INSECURE)
    visit.say("It is raining. Take a coat.")
    audio = visit.page.locator("#audio")
    visit.until(lambda: audio.evaluate("audio => audio.currentTime > 0 && audio.error === null"))
    assert visit.problems == []
