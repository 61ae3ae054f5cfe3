"""A database of our own on a given server, so that nobody's data is touched."""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

DROP_TRIES = 60


@contextmanager
def own_database(url: str, owner_url: str, purpose: str) -> Iterator[dict[str, str]]:
    """A new, empty database beside the one named, as settings; it is dropped at the end."""
    name = f"countersign_{purpose}_{secrets.token_hex(4)}"
    with psycopg.connect(owner_url, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield {
                "DATABASE_URL": _renamed(url, name),
                "DATABASE_OWNER_URL": _renamed(owner_url, name),
            }
        finally:
            _drop(server, name)


def _drop(server: psycopg.Connection, name: str) -> None:
    """What the server itself does there, such as cleaning up after a million rows, ends by itself."""
    statement = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
    for _ in range(DROP_TRIES - 1):
        try:
            server.execute(statement)
        except psycopg.errors.InsufficientPrivilege:
            time.sleep(1)
        else:
            return
    server.execute(statement)


def _renamed(url: str, database: str) -> str:
    return urlsplit(url)._replace(path=f"/{database}").geturl()
