"""What the engine of transformers does where its packages are missing, as here."""

import inspect
import sys

import pytest
from served import REPOSITORY

from headrace.engines.transformers.engine import TransformersEngine
from headrace.errors import DefinitionError


async def test_without_its_packages_it_says_what_to_install() -> None:
    with pytest.raises(DefinitionError) as caught:
        await TransformersEngine("somebody/poet").start()
    assert str(caught.value) == (
        'HR22 TransformersEngine needs "torch", which is not installed\n'
        f'  fix: {sys.executable} -m pip install "headrace[transformers]"'
    )


def test_without_its_packages_it_can_be_named_and_asked_what_it_is() -> None:
    engine = TransformersEngine("somebody/poet")
    assert (engine.info.name, engine.healthy) == ("somebody/poet", False)


def test_the_page_about_checkpoints_names_every_option() -> None:
    page = (REPOSITORY / "docs/howto/checkpoints.md").read_text("utf-8")
    rows = [row.partition(" | ")[0] for row in page.splitlines() if row.startswith("| `")]
    named = {name for row in rows for name in row.replace("`", "").removeprefix("| ").split(", ")}
    assert named == set(inspect.signature(TransformersEngine).parameters) - {"model"}
