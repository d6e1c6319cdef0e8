"""What a client sees of a connection pooler, on a real port in front of a real server."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.support.databases import close_session

# Its type, a length of 12 in protocol 3.0; then come the process id and the key for cancelling.
BACKEND_KEY_DATA = b"K\x00\x00\x00\x0c"
# The clients are gone by then.
JOIN_SECONDS = 15.0


@contextmanager
def pooled(url: str) -> Iterator[str]:
    """Stand between as a pooler does: the process id that it names at the start is none of the server's."""
    listener = socket.create_server(("127.0.0.1", 0))
    sockets, relays = [listener], []

    def accept() -> None:
        with suppress(OSError):  # The listener was shut down.
            while True:
                client, server = listener.accept()[0], dial(url)
                sockets.extend((client, server))
                for source, target, head in ((client, server, None), (server, client, BACKEND_KEY_DATA)):
                    relays.append(threading.Thread(target=relay, args=(source, target, head), daemon=True))
                    relays[-1].start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield make_conninfo(url, host="127.0.0.1", port=str(listener.getsockname()[1]), sslmode="disable")
    finally:
        close_session()
        listener.shutdown(socket.SHUT_RDWR)
        for thread in (accepting, *relays):
            thread.join(JOIN_SECONDS)
            assert not thread.is_alive(), "somebody is still connected"
        for opened in sockets:
            opened.close()


def dial(url: str) -> socket.socket:
    parts = conninfo_to_dict(url)
    host, port = str(parts["host"]), int(str(parts["port"]))
    if not host.startswith("/"):
        return socket.create_connection((host, port))
    dialled = socket.socket(socket.AF_UNIX)
    dialled.connect(f"{host}/.s.PGSQL.{port}")
    return dialled


def relay(source: socket.socket, target: socket.socket, head: bytes | None) -> None:
    """Pass on what comes, with another process id after the head."""
    with suppress(OSError):  # The other end is gone.
        while data := source.recv(65_536):
            if head and (at := data.find(head)) >= 0:
                at += len(head)
                data = data[:at] + b"\x7f\xff\xff\xff" + data[at + 4 :]
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
