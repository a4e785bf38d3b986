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
    """``host:port`` of a server; UsageError if it names no host that a link could lead to."""
    parts = urlsplit(url_or_host_port if "//" in url_or_host_port else f"//{url_or_host_port}")
    try:
        host, port = parts.hostname, parts.port or USUAL_PORTS.get(parts.scheme)
    except ValueError:  # several hosts, or no number
        host, port = None, None
    if not host or not port:
        raise UsageError(
            "a proxy needs one host and port to lead to: write the URL as scheme://user:password@127.0.0.1:1234/…, "
            "or leave it out for an embedded server."
        )
    return written_place(host, port)


def written_place(host: str, port: int) -> str:
    """``host:port``, the host in brackets if it is an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def host_and_port(place: str) -> tuple[str, int]:
    """The parts of ``host:port``. ValueError if it is none."""
    host, _, port = place.rpartition(":")
    return host.strip("[]"), int(port)


def through(url: str, port: int) -> str:
    """The URL of the same server, with a link's port on loopback in the place of its own address."""
    parts = urlsplit(url)
    login, at, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{login}{at}127.0.0.1:{port}"))
