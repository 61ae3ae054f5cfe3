"""The tests' own Redis database is never the one that was named."""

import pytest

from tests.plugin_servers import choose_spare_database


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("redis://localhost", "redis://localhost/15"),
        ("redis://:word@host:6379/0", "redis://:word@host:6379/15"),
        ("rediss://host/15", "rediss://host/14"),
        ("redis://host/3?db=15&timeout=5", "redis://host/3?db=14&timeout=5"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock?db=15"),
        ("unix:///run/redis.sock?db=15", "unix:///run/redis.sock?db=14"),
    ],
)
def test_a_spare_database_of_the_same_server_is_used(given: str, used: str) -> None:
    assert choose_spare_database(given) == used
