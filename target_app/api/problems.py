"""Problem details (RFC 9457): every refusal has a type of its own, and says where provably nothing happened."""

from __future__ import annotations

import math
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse

BASE = "/problems/"


class ProblemError(Exception):
    """A refusal. ``no_effect`` only where nothing was written and nothing will be."""

    def __init__(
        self,
        status: HTTPStatus,
        kind: str,
        detail: str,
        *,
        no_effect: bool = False,
        retry_after_s: float | None = None,
        more: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.no_effect = no_effect
        self.retry_after_s = retry_after_s
        self.more = more or {}

    def response(self) -> JSONResponse:
        """The answer, as application/problem+json."""
        body = {
            "type": BASE + self.kind,
            "title": self.kind.replace("-", " ").capitalize(),
            "status": int(self.status),
            "detail": self.detail,
            **({"effect": "none"} if self.no_effect else {}),
            **self.more,
        }
        headers = {}
        if self.retry_after_s is not None:
            headers["Retry-After"] = str(max(1, math.ceil(self.retry_after_s)))
        if self.status is HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = "Bearer"
        return JSONResponse(body, int(self.status), headers, media_type="application/problem+json")


def sold_out() -> ProblemError:
    return ProblemError(HTTPStatus.CONFLICT, "sold-out", "Fewer units remain than were asked for.", no_effect=True)


def purchase_limit(limit: int) -> ProblemError:
    return ProblemError(
        HTTPStatus.CONFLICT, "purchase-limit", f"A buyer may have {limit} of this sale at most.", no_effect=True
    )


def in_progress() -> ProblemError:
    return ProblemError(
        HTTPStatus.CONFLICT, "in-progress", "A request with this key is still being decided.", retry_after_s=1
    )


def unavailable(reason: str, *, no_effect: bool, retry_after_s: float = 1.0) -> ProblemError:
    return ProblemError(
        HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", reason, no_effect=no_effect, retry_after_s=retry_after_s
    )


def not_found(what: str) -> ProblemError:
    return ProblemError(HTTPStatus.NOT_FOUND, "not-found", f"There is no such {what}.", no_effect=True)


def key_reused() -> ProblemError:
    return ProblemError(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "key-reused",
        "This idempotency key belongs to another purchase; use a new key for a new purchase.",
        no_effect=True,
    )


def unauthorized() -> ProblemError:
    return ProblemError(
        HTTPStatus.UNAUTHORIZED, "unauthorized", "This call needs the admin's bearer token.", no_effect=True
    )


def invalid(errors: Sequence[Any]) -> ProblemError:
    """Where a request does not fit, from pydantic's list of errors."""
    places = [f"{'.'.join(str(part) for part in error['loc'])}: {error['msg']}" for error in errors]
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "validation", "; ".join(places)[:1000], no_effect=True)
