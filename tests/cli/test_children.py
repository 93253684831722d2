"""Children as processes: what they inherit, how they are told to stop, and how their end reads."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.cli.children import Child, Children, Inheritance
from headrace.cli.port import bind

UNTIL_TOLD = "import os, sys; print('up', flush=True); os.read(int(sys.argv[1]), 1)"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with bind("127.0.0.1", 0) as listener:
        yield listener


def child(code: str) -> Child:
    """A child of ours that runs this code, with its pipe as an argument, and has printed a line."""
    read, write = os.pipe()
    ready, said = os.pipe()
    command = [sys.executable, "-c", code, str(read), str(said)]
    process = subprocess.Popen(command, pass_fds=(read, said), stdout=subprocess.PIPE)
    os.close(read)
    os.close(said)
    assert process.stdout is not None
    with process.stdout as output:
        assert output.readline() == b"up\n"
    return Child(process, write, ready)


def test_an_inheritance_is_read_as_it_was_written_and_goes_no_further(listener: socket.socket) -> None:
    read, write = os.pipe()
    os.set_inheritable(read, True)
    os.set_inheritable(listener.fileno(), True)
    inheritance = Inheritance(listener.fileno(), read, write, announces=True)
    assert Inheritance.read(str(inheritance)) == inheritance
    assert not os.get_inheritable(read)
    assert not os.get_inheritable(write)
    assert not listener.get_inheritable()
    os.close(read)
    os.close(write)


@pytest.mark.parametrize("text", ["", "3", "3,4", "3,4,5,x", "3,4,5,1,1"])
def test_an_inheritance_that_is_none_is_a_wrong_value(text: str) -> None:
    with pytest.raises(ValueError, match=r"unpack|invalid literal"):
        Inheritance.read(text)


def test_the_end_of_its_pipe_tells_a_child_to_stop() -> None:
    told = child(UNTIL_TOLD)
    assert told.poll() is None
    told.stop()
    told.stop()
    assert told.wait() == 0


def test_a_child_is_ready_once_it_has_said_so() -> None:
    silent = child(UNTIL_TOLD)
    assert not silent.ready()
    silent.stop()
    silent.wait()
    ready = child("import os, sys; os.write(int(sys.argv[2]), b'1'); " + UNTIL_TOLD)
    assert ready.ready()
    assert ready.ready()
    ready.stop()
    ready.wait()


def test_a_child_that_a_signal_ended_reads_as_in_a_shell() -> None:
    killed = child(UNTIL_TOLD)
    killed.kill()
    assert killed.wait() == 128 + signal.SIGKILL
    assert killed.poll() == 137


def test_a_child_that_has_ended_may_be_stopped_and_killed() -> None:
    ended = child("print('up', flush=True)")
    assert ended.wait() == 0
    ended.stop()
    ended.kill()


def test_a_child_is_this_command_and_leaves_no_descriptor_behind(listener: socket.socket) -> None:
    before = os.listdir("/proc/self/fd")
    started = Children(["--version"], listener, subprocess.DEVNULL).start()
    assert started.pid != os.getpid()
    assert started.wait() == 2  # the group itself inherits nothing
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_what_lies_in_the_folder_does_not_come_before_the_commands_own_modules(
    tmp_path: Path, listener: socket.socket, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("click", "token", "headrace"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')")
    with contextlib.chdir(tmp_path):
        assert Children(["run", "nope.py"], listener).start().wait() == 3
    assert capfd.readouterr().err.startswith('HR01 no file "nope.py" here.')
