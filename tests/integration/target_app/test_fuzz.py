"""If this fails, some request that the app's own OpenAPI document allows, or forbids, makes it fall over."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Ok

from flashbench.services import Stack, StackRequest

OPERATIONS = {
    "POST /sales",
    "POST /sales/{sale_id}/purchases",
    "GET /sales/{sale_id}/products/{sku}",
    "GET /sales/{sale_id}/ledger",
    "GET /sales/{sale_id}/stock",
    "GET /strategies",
    "GET /healthz",
    "GET /readyz",
    "GET /metrics",
}


@pytest.fixture(scope="module")
def served() -> Iterator[Stack]:
    """A real app in a worker process."""
    with Stack.start(StackRequest(app_workers=1), progress=lambda _: None) as stack:
        yield stack


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_no_request_makes_the_app_fail(served: Stack, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_url(f"{served.info.base_url}/openapi.json")
    headers = {"Authorization": f"Bearer {served.info.admin_token}"}
    asked: set[str] = set()

    for result in schema.get_all_operations():
        assert isinstance(result, Ok)
        operation = result.ok()
        if mode is GenerationMode.NEGATIVE and not operation.definition.raw.get("parameters"):
            continue  # there is nothing to get wrong

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        def ask(case: Case) -> None:  # type: ignore[type-arg]
            response = case.call(headers=headers)
            assert response.status_code < 500, f"{case.as_curl_command()}\n{response.text}"
            asked.add(operation.label)  # noqa: B023 - called in this very turn

        ask()

    expected = OPERATIONS if mode is GenerationMode.POSITIVE else {name for name in OPERATIONS if "{" in name}
    assert asked >= expected
