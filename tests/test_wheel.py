"""The wheel: one file for every platform, with everything that the package needs inside."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent


@pytest.mark.slow
def test_the_wheel_runs_everywhere_and_has_the_model_inside(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(REPOSITORY)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    data = "headrace/engines/tiny/data"
    assert {
        "headrace/py.typed",
        f"{data}/model.safetensors",
        f"{data}/tokenizer.json",
        f"{data}/config.json",
        f"{data}/chat_template.jinja",
    } <= names
    assert not [name for name in names if name.startswith(("tests", "examples", "bench", "training"))]
