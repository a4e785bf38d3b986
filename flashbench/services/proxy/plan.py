"""What the proxy is told at its start."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit, urlunsplit

from pydantic import BaseModel, ConfigDict, Field

from flashbench.errors import UsageError

USUAL_PORTS = {"redis": 6379, "rediss": 6379, "postgresql": 5432, "postgres": 5432}


class LinkPlan(BaseModel):
    """A port on loopback, the server's ``host:port``, and how much longer a round trip over the link takes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    port: int
    to: str
    rtt_ms: Annotated[float, Field(ge=0)] = 0.0


class ProxyPlan(BaseModel):
    """Links by name, and where orders are taken."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    control_port: int
    secret: str
    links: dict[str, LinkPlan]


def server_place(url_or_host_port: str) -> str:
    """``host:port`` of a server's URL; UsageError if it names no host that a link could lead to."""
    if "//" not in url_or_host_port:
        return url_or_host_port
    parts = urlsplit(url_or_host_port)
    if not parts.hostname or "," in parts.netloc:
        raise UsageError(
            f"a proxy can't lead to the server of a {parts.scheme} URL without one host: "
            "name it as scheme://user:password@host:port/…"
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{parts.port or USUAL_PORTS[parts.scheme]}"


def host_and_port(place: str) -> tuple[str, int]:
    """The parts of ``host:port``. ValueError if it is none."""
    host, _, port = place.rpartition(":")
    if not host:
        raise ValueError(f"{place!r} is not host:port")
    return host.strip("[]"), int(port)


def through(url: str, port: int) -> str:
    """The URL of the same server, with a link's port on loopback in the place of its own address."""
    parts = urlsplit(url)
    login, at, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{login}{at}127.0.0.1:{port}"))
