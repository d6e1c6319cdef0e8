"""An Upgrade is ignored (RFC 9110, 7.8): every request is read as HTTP/1.1, whatever else its sender offers.

The JDK's client and `curl --http2` offer h2c in each request over plain HTTP.
"""

from typing import Protocol

from httptools import HttpParserUpgrade, HttpRequestParser


class Reading(Protocol):
    """The part of a connection that reads requests; its parser calls it."""

    parser: HttpRequestParser
    url: bytes
    headers: list[tuple[bytes, bytes]]
    is_read_again: bool


def feed(connection: Reading, data: bytes) -> None:
    """Parse; a head with an Upgrade is read twice, the second time without it.

    The parser ends with such a head: it takes the body for another protocol's.
    """
    while True:
        try:
            connection.parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            data = _head_without_upgrade(connection) + data[upgrade.args[0] :]
            connection.parser = parser_for(connection)
            connection.is_read_again = False
        else:
            return


def parser_for(connection: Reading) -> HttpRequestParser:
    """Return a parser at the beginning of a request, which parses on after the last one of a connection."""
    parser = HttpRequestParser(connection)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser


def _head_without_upgrade(connection: Reading) -> bytes:
    parser = connection.parser
    start = b"%b %b HTTP/%b\r\n" % (parser.get_method(), connection.url, parser.get_http_version().encode())
    lines = (b"%b: %b\r\n" % header for header in connection.headers if header[0] != b"upgrade")
    return b"".join([start, *lines, b"\r\n"])
