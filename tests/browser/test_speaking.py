"""The page of the example `speak` in a real browser: what is heard is what was sent."""

import time
from collections.abc import Callable

import pytest
from playwright.sync_api import WebSocketRoute
from served import Served
from visit import Visit

SHORT = "It is raining."
LONG = "This is a long text, which is said until somebody stops it. " * 12
FAILING = "This voice will break before the text has come to its end, and the page must say so at once."


def begin(visit: Visit, text: str) -> None:
    """Lets the page speak, and waits until something is heard."""
    visit.say(text)
    visit.until(lambda: visit.figure("played") > 0)


def test_every_sample_that_was_sent_is_played(visit: Visit) -> None:
    visit.say(SHORT)
    visit.until_all_was_said()
    assert visit.figure("played") == visit.state()["samples"] > 10_000


def test_what_is_played_is_as_loud_as_what_was_sent(visit: Visit) -> None:
    visit.say(SHORT)
    visit.until_all_was_said()
    assert visit.state()["rms"] > 0.02
    assert visit.rms == pytest.approx(visit.state()["rms"], rel=1e-4)


def test_the_player_never_runs_dry(visit: Visit) -> None:
    visit.say(f"{SHORT} Take a coat. And take the bus.")
    visit.until_all_was_said()
    assert visit.shown("#underruns") == "0"


def test_a_player_that_runs_dry_shows_it_and_plays_on(slow_speaker: Served, arrive: Callable[..., Visit]) -> None:
    visit = arrive(slow_speaker)
    visit.say(f"{SHORT} Take a coat.")
    visit.until_all_was_said()
    assert visit.figure("underruns") >= 1
    assert visit.figure("played") == visit.state()["samples"]


def test_the_time_to_the_first_sound_is_shown(visit: Visit) -> None:
    clicked = time.monotonic()
    visit.say(SHORT)
    visit.until(lambda: visit.figure("first") > 0)
    assert visit.figure("first") <= 1000 * (time.monotonic() - clicked)


def test_a_second_text_is_played_from_its_own_first_sample(visit: Visit) -> None:
    visit.say(SHORT)
    visit.until_all_was_said()
    visit.say("Take a coat.")
    visit.until(lambda: visit.status == "Speaking")
    visit.until_all_was_said()
    assert visit.figure("played") == visit.state()["samples"]


def test_stop_frees_the_generator_within_300_ms(visit: Visit) -> None:
    begin(visit, LONG)
    assert visit.state()["saying"] == 1
    visit.click("Stop")
    visit.until(lambda: visit.state()["saying"] == 0, within=0.3)


def test_stop_is_silent_at_once(visit: Visit) -> None:
    begin(visit, LONG)
    visit.click("Stop")
    assert visit.status == "Stopped"
    played = visit.figure("played")
    visit.page.wait_for_timeout(300)
    assert (visit.figure("played"), visit.status) == (played, "Stopped")
    assert [visit.figure(meter) for meter in ("level", "buffered", "rate")] == [0, 0, 0]


def test_a_new_text_interrupts_the_one_that_is_spoken(visit: Visit) -> None:
    begin(visit, LONG)
    visit.say(SHORT)
    visit.until_all_was_said()
    sent = visit.state()
    assert 10_000 < sent["samples"] < 30_000
    assert visit.figure("played") == sent["samples"]
    assert visit.rms == pytest.approx(sent["rms"], rel=1e-4)


def test_sound_of_the_old_text_that_still_comes_is_not_played(visit: Visit) -> None:
    texts: list[tuple[WebSocketRoute, str | bytes]] = []

    def hold_back(route: WebSocketRoute) -> None:
        server = route.connect_to_server()

        def take(message: str | bytes) -> None:
            texts.append((server, message))
            if len(texts) == 1:
                server.send(message)

        route.on_message(take)

    visit.page.route_web_socket("**/converse*", hold_back)
    visit.open()  # again, for a connection of its own
    begin(visit, LONG)
    visit.say(SHORT)
    visit.page.wait_for_timeout(300)  # the server does not know of it yet, and goes on with the long one
    server, message = texts[1]
    server.send(message)
    visit.until_all_was_said()
    assert visit.figure("played") == visit.state()["samples"] < 30_000


def test_many_texts_in_a_row_end_with_the_last_one(visit: Visit) -> None:
    for _ in range(5):
        visit.say(LONG)
    visit.say(SHORT)
    visit.until_all_was_said()
    assert visit.figure("played") == visit.state()["samples"] < 30_000


def test_a_page_that_is_left_ends_its_conversation_within_300_ms(visit: Visit) -> None:
    begin(visit, LONG)
    assert visit.served.metric("headrace_streams_live") == 1
    visit.page.close()
    visit.served.until(lambda: visit.served.metric("headrace_streams_live") == 0, within=0.3)
    assert visit.state()["saying"] == 0


def test_a_stream_that_fails_is_told(visit: Visit) -> None:
    visit.say(FAILING)
    visit.until(lambda: visit.error != "")
    assert visit.error == "The stream failed: the voice broke (voice_failed)"
    assert visit.shown("#connection") == "Failed"
    assert visit.status == "Speak connects again"


def test_after_a_failure_the_page_connects_and_speaks_again(visit: Visit) -> None:
    visit.say(FAILING)
    visit.until(lambda: visit.error != "")
    visit.say(SHORT)
    visit.until_all_was_said()
    assert visit.error == ""
    assert visit.figure("played") == visit.state()["samples"]


def test_a_connection_that_is_cut_is_told(passing_speaker: Served, arrive: Callable[..., Visit]) -> None:
    visit = arrive(passing_speaker)
    begin(visit, LONG)
    passing_speaker.process.kill()
    visit.until(lambda: visit.error != "")
    assert visit.error == "The connection was cut (code 1006). What was said is not complete."


def test_a_server_that_is_gone_is_told(passing_speaker: Served, arrive: Callable[..., Visit]) -> None:
    visit = arrive(passing_speaker)
    passing_speaker.stop()
    visit.until(lambda: visit.error != "")
    assert "shutting_down" in visit.error
    visit.click("Speak")
    visit.until(lambda: "cut (code 1006)" in visit.error)


def test_a_text_without_a_word_is_not_sent(visit: Visit) -> None:
    visit.say("   ")
    assert visit.status == "There is nothing to say yet: write something first"
    assert visit.page.get_by_role("button", name="Stop").is_disabled()


def test_the_keys_speak_and_stop(visit: Visit) -> None:
    visit.write(LONG)
    visit.page.keyboard.press("Control+Enter")
    visit.until(lambda: visit.status == "Speaking")
    visit.page.keyboard.press("Escape")
    visit.until(lambda: visit.status == "Stopped")
