import subprocess
import sys

WITHOUT_VLLM = """
import sys
sys.modules["vllm"] = None  # cannot be imported, even if it is installed
from headrace.engines.vllm.library import load
load()
"""


def test_without_vllm_the_error_says_what_to_install() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_VLLM], capture_output=True, text=True, timeout=60)
    assert "DefinitionError: " in done.stderr
    assert 'HR22 VllmEngine needs "vllm"' in done.stderr
    assert 'pip install "headrace[vllm]"' in done.stderr
