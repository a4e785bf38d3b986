"""What is asked of a stack, and what is known of one that runs. These cross a pipe as JSON."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Origin = Literal["given", "installed", "bundled"]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StackRequest(_Message):
    """``plugins`` are ``/absolute/path.py:ClassName``; ``app_port`` 0 takes any free port."""

    database_url: str | None = None
    redis_url: str | None = None
    app_workers: Annotated[int, Field(ge=1, le=64)] = 2
    app_port: Annotated[int, Field(ge=0, le=65535)] = 0
    plugins: tuple[str, ...] = ()
    app_environment: dict[str, str] = {}
    app_folder: str | None = None  # holds the package target_app, if it is not this checkout's
    with_app: bool = True


class ServiceInfo(_Message):
    """One server: where it came from, what it is, and for Postgres what makes its commits durable."""

    origin: Origin
    location: str  # a binary's path, or the given URL without its password
    version: str
    why: str
    url: str
    pid: int | None = None
    settings: dict[str, str] = {}


class StackInfo(_Message):
    """A stack that is up. Embedded servers keep their data in ``scratch``; ``control`` is where orders are taken."""

    base_url: str | None
    admin_token: str
    postgres: ServiceInfo
    redis: ServiceInfo
    scratch: str
    scratch_filesystem: str
    app_workers: int
    app_pid: int | None
    supervisor_pid: int
    control: str
    gauges: str  # the folder in which the app's workers keep their metrics

    @property
    def database_url(self) -> str:
        return self.postgres.url

    @property
    def redis_url(self) -> str:
        return self.redis.url
