"""What is asked of a stack, and what is known of one that runs. These cross a pipe as JSON."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

Origin = Literal["given", "installed", "bundled"]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StackRequest(_Message):
    """``plugins`` are ``/absolute/path.py:ClassName``; ``app_port`` 0 takes any free port.

    ``proxied`` leads the app to both stores through a proxy of the harness's own. ``store_rtt_ms`` makes every round
    trip between the app and either store so much longer; ``replica`` starts a second Redis that follows the first. Both
    need the proxy, and have it. ``failpoints`` gives the app a folder in which failpoints are armed.
    """

    database_url: str | None = None
    redis_url: str | None = None
    app_workers: Annotated[int, Field(ge=1, le=64)] = 2
    app_port: Annotated[int, Field(ge=0, le=65535)] = 0
    plugins: tuple[str, ...] = ()
    app_environment: dict[str, str] = {}
    app_folder: str | None = None  # holds the package target_app, if it is not this checkout's
    with_app: bool = True
    store_rtt_ms: Annotated[float, Field(ge=0, le=1000)] = 0.0
    replica: bool = False
    proxied: bool = Field(default=False, validate_default=True)
    failpoints: bool = False

    @field_validator("proxied")
    @classmethod
    def _where_it_is_needed(cls, proxied: bool, others: ValidationInfo) -> bool:
        return proxied or bool(others.data.get("store_rtt_ms") or others.data.get("replica"))


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
    """A stack that is up. Embedded servers keep their data in ``scratch``; ``control`` is where orders are taken.

    The stores' URLs lead straight to them, past the proxy; ``proxy`` is where it is told how to behave.
    """

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
    proxy: str | None = None
    replica_url: str | None = None
    failpoints: str | None = None  # the folder in which the app's failpoints are armed

    @property
    def database_url(self) -> str:
        return self.postgres.url

    @property
    def redis_url(self) -> str:
        return self.redis.url
