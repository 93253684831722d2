"""What a start is called."""

from pathlib import Path

import pytest

from headrace.cli.launch import Launch
from headrace.cli.target import Location
from headrace.config import Settings

LOCATION = Location("app", None, Path("/here/app.py"), Path("/here"), Path("/here"))


@pytest.mark.parametrize(
    ("settings", "title"),
    [
        (Settings(), "run"),
        (Settings(workers=4), "run · 4 workers"),
        (Settings(workers=4, reload=True), "run"),
    ],
)
def test_the_title_has_the_workers_where_there_are_several(settings: Settings, title: str) -> None:
    assert Launch("run", LOCATION, {}, settings).title == title
