"""A transaction that leaves nothing: `conn` in emptied tables, `admin` in what is there, `bare` in a new database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from tests.support.databases import scratch_database

Conn = psycopg.Connection[tuple[Any, ...]]


@contextmanager
def _rolled_back(url: str) -> Iterator[Conn]:
    with psycopg.connect(url) as conn:
        yield conn
        conn.rollback()


@pytest.fixture
def conn(emptied: str) -> Iterator[Conn]:
    with _rolled_back(emptied) as conn:
        yield conn


@pytest.fixture
def admin(database_url: str) -> Iterator[Conn]:
    with _rolled_back(database_url) as conn:
        yield conn


@pytest.fixture(scope="module")
def empty_url(server_url: str) -> Iterator[str]:
    with scratch_database(server_url, "empty") as url:
        yield url


@pytest.fixture
def bare(empty_url: str) -> Iterator[Conn]:
    with _rolled_back(empty_url) as conn:
        yield conn


def said(conn: Conn, *statements: str) -> None:
    for statement in statements:
        conn.execute(statement.encode())
