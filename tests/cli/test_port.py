"""Taking a port, and saying who has it."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.cli.port import PortTaken, bind, bind_next, free_port, owner, port_of, share, url

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
ROW = (
    "   0: 0100007F:{port:04X} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000     0        0 {inode} 1\n"
)


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield port_of(listener)


def test_a_bound_socket_refuses_clients_until_it_listens() -> None:
    with bind("127.0.0.1", 0) as listener:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port_of(listener)))
        listener.listen()
        socket.create_connection(("127.0.0.1", port_of(listener))).close()


def test_a_taken_port_names_its_owner(taken: int) -> None:
    name = Path("/proc/self/comm").read_text().strip()
    with pytest.raises(PortTaken) as error:
        bind("127.0.0.1", taken)
    assert str(error.value) == f"port {taken} on 127.0.0.1 is in use by {name} (pid {os.getpid()})"


def test_a_port_is_taken_before_anybody_listens_on_it() -> None:
    with bind("127.0.0.1", 0) as listener, pytest.raises(PortTaken):
        bind("127.0.0.1", port_of(listener))


def test_a_port_whose_connections_linger_can_be_had_at_once() -> None:
    with bind("127.0.0.1", 0) as listener:
        port = port_of(listener)
        listener.listen()
        share(listener)
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = listener.accept()
    accepted.close()  # the first to close is the one that lingers
    assert client.recv(1) == b""
    client.close()
    bind("127.0.0.1", port).close()


def test_the_next_free_port_is_found(taken: int) -> None:
    with bind_next("127.0.0.1", taken) as listener:
        assert taken < port_of(listener) < taken + 50


def test_a_free_port_after_a_taken_one_can_be_had(taken: int) -> None:
    free = free_port("127.0.0.1", taken)
    assert free is not None
    bind("127.0.0.1", free).close()


def test_after_the_last_port_there_is_none() -> None:
    assert free_port("127.0.0.1", 65_535) is None


def test_an_address_of_another_machine_cannot_be_bound() -> None:
    with pytest.raises(OSError, match="Cannot assign requested address"):
        bind("203.0.113.1", 0)  # RFC 5737: of documentation


@pytest.mark.parametrize(
    ("host", "shown"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "[::1]"), ("::", "[::1]")]
)
def test_the_address_is_one_for_a_browser(host: str, shown: str) -> None:
    with bind(host, 0) as listener:
        assert url(listener) == f"http://{shown}:{port_of(listener)}/"


def proc(folder: Path, tables: dict[str, str], processes: dict[int, tuple[str, list[str]]]) -> Path:
    """A folder like /proc, of these tables and of processes with their command and what they have open."""
    (folder / "net").mkdir()
    for name, rows in tables.items():
        (folder / "net" / name).write_text(HEAD + rows)
    for pid, (command, links) in processes.items():
        (folder / str(pid) / "fd").mkdir(parents=True)
        (folder / str(pid) / "comm").write_text(f"{command}\n")
        for number, link in enumerate(links):
            (folder / str(pid) / "fd" / str(number)).symlink_to(link)
    return folder


def test_the_owner_is_the_oldest_process_that_has_the_socket(tmp_path: Path) -> None:
    tables = {"tcp": ROW.format(port=8000, state="0A", inode=77)}
    processes = {1000: ("worker", ["socket:[77]"]), 99: ("headrace", ["pipe:[1]", "socket:[77]"]), 5: ("other", [])}
    assert owner(8000, proc(tmp_path, tables, processes)) == "headrace (pid 99)"


def test_the_owner_may_listen_on_ipv6(tmp_path: Path) -> None:
    tables = {"tcp": "", "tcp6": ROW.format(port=8000, state="0A", inode=78)}
    assert owner(8000, proc(tmp_path, tables, {7: ("node", ["socket:[78]"])})) == "node (pid 7)"


@pytest.mark.parametrize(("port", "state"), [(8001, "0A"), (8000, "01")])
def test_a_connection_or_another_port_tells_no_owner(tmp_path: Path, port: int, state: str) -> None:
    tables = {"tcp": ROW.format(port=port, state=state, inode=77)}
    assert owner(8000, proc(tmp_path, tables, {7: ("curl", ["socket:[77]"])})) == "another process"


def test_a_process_that_ends_meanwhile_is_passed_over(tmp_path: Path) -> None:
    folder = proc(tmp_path, {"tcp": ROW.format(port=8000, state="0A", inode=77)}, {7: ("gone", ["socket:[77]"])})
    (folder / "7" / "comm").unlink()
    assert owner(8000, folder) == "another process"


def test_where_the_system_tells_nothing_there_is_no_name(tmp_path: Path) -> None:
    assert owner(8000, tmp_path) == "another process"
