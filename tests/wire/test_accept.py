import pytest

from headrace.wire.accept import MediaRange, parse_accept, preference

ANYTHING = (MediaRange("*", "*"),)


@pytest.mark.parametrize(
    ("accept", "ranges"),
    [
        (None, ANYTHING),
        ("", ANYTHING),
        (" , ,", ANYTHING),
        ("*/*", ANYTHING),
        ("*", ANYTHING),
        ("*; q=.2", (MediaRange("*", "*", 0.2),)),
        ("text/plain", (MediaRange("text", "plain"),)),
        ("Text/PLAIN", (MediaRange("text", "plain"),)),
        ("text/*;q=0.5, application/json", (MediaRange("text", "*", 0.5), MediaRange("application", "json"))),
        ("text/plain;q=0", (MediaRange("text", "plain", 0.0),)),
        ("text/plain;q=1.000", (MediaRange("text", "plain"),)),
        ("text/plain; charset=utf-8 ; Q = 0.5", (MediaRange("text", "plain", 0.5),)),
        ("text/plain;q=0.5;ext=1", (MediaRange("text", "plain", 0.5),)),
        ("text/plain;q=high", (MediaRange("text", "plain"),)),
        ("text/plain;q=-1", (MediaRange("text", "plain"),)),
        ("text/plain;q=nan", (MediaRange("text", "plain"),)),
        ("text/plain;q=7", (MediaRange("text", "plain"),)),
        ("text/plain;q", (MediaRange("text", "plain"),)),
        ("nonsense, text/plain", (MediaRange("text", "plain"),)),
        ("nonsense", ANYTHING),
        ("*/json, a/b/c, te xt/plain, text/, /plain", ANYTHING),
        ('text/plain;a="x,application/json;q=0", text/html', (MediaRange("text", "plain"), MediaRange("text", "html"))),
        ("application/vnd.a+json", (MediaRange("application", "vnd.a+json"),)),
    ],
)
def test_the_header_is_read_leniently(accept: str | None, ranges: tuple[MediaRange, ...]) -> None:
    assert parse_accept(accept) == ranges


@pytest.mark.parametrize(
    ("accept", "media_type", "liked"),
    [
        ("*/*", "text/plain", (1.0, 0)),
        ("text/*", "text/plain", (1.0, 0)),
        ("text/*", "application/json", None),
        ("text/plain", "text/html", None),
        ("text/*;q=0.3, text/plain;q=0.7, */*;q=0.5", "text/plain", (0.7, -1)),
        ("text/*;q=0.3, text/plain;q=0.7, */*;q=0.5", "text/html", (0.3, 0)),
        ("text/*;q=0.3, text/plain;q=0.7, */*;q=0.5", "image/png", (0.5, -2)),
        ("*/*, text/plain;q=0", "text/plain", None),
        ("text/plain, text/plain;q=0.5", "text/plain", (1.0, 0)),
    ],
)
def test_the_most_precise_range_decides(accept: str, media_type: str, liked: tuple[float, int] | None) -> None:
    assert preference(parse_accept(accept), media_type) == liked


def test_only_the_full_name_counts_where_it_must() -> None:
    ranges = parse_accept("text/*, image/png, */*;q=0.1")
    assert preference(ranges, "text/plain", exact=True) is None
    assert preference(ranges, "image/png", exact=True) == (1.0, -1)
