"""Importing headrace costs little and changes nothing, measured in processes of their own."""

import json
import resource
import subprocess
import sys

HEAVY = [
    *["pydantic", "pydantic_core", "starlette", "uvicorn", "uvloop", "httptools", "h11", "anyio", "websockets"],
    *["http.server", "socketserver", "httpx2", "numpy", "torch", "transformers", "vllm", "ray", "prometheus_client"],
]

REPORT = """
import json, logging, os, sys, threading, time
handlers, environment = list(logging.root.handlers), dict(os.environ)
before = time.process_time()
import headrace
spent = time.process_time() - before
print(json.dumps({
    "spent": spent,
    "modules": list(sys.modules),
    "threads": threading.active_count(),
    "environment_changed": dict(os.environ) != environment,
    "root_handlers_changed": logging.root.handlers != handlers,
    "handlers": [name for name, logger in logging.root.manager.loggerDict.items() if getattr(logger, "handlers", [])],
}))
"""


def _report() -> dict[str, object]:
    done = subprocess.run([sys.executable, "-c", REPORT], capture_output=True, text=True, timeout=60, check=True)
    result: dict[str, object] = json.loads(done.stdout)
    return result


def _cpu_seconds(*command: str) -> float:
    """User and system time of a whole process, the start of the interpreter included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *command], capture_output=True, timeout=60, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_importing_headrace_loads_nothing_heavy() -> None:
    modules = _report()["modules"]
    assert isinstance(modules, list)
    assert [name for name in HEAVY if name in modules] == []


def test_importing_headrace_changes_nothing_in_the_process() -> None:
    report = _report()
    kept = ("threads", "environment_changed", "root_handlers_changed", "handlers")
    assert {key: report[key] for key in kept} == {
        "threads": 1,
        "environment_changed": False,
        "root_handlers_changed": False,
        "handlers": [],
    }


def test_importing_headrace_takes_less_than_200_ms_of_cpu() -> None:
    # The least of three: the first one may have to compile, and a busy machine only ever adds.
    assert min(float(str(_report()["spent"])) for _ in range(3)) < 0.2


def test_the_commands_help_takes_less_than_200_ms_of_cpu() -> None:
    assert min(_cpu_seconds("-m", "headrace", "--help") for _ in range(3)) < 0.2
