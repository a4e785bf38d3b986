"""If these fail, a purchase does not meet what was laid in its way, or the next one meets it too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.fault import FaultError, fault_class
from benchmarks.workers import Workers
from flashbench.services import StackInfo
from tests.integration.faults.shop import lasting, scene, selling, until_shown


@pytest.fixture
def stack(proxied_stack: StackInfo) -> StackInfo:
    return proxied_stack


@pytest.mark.parametrize(
    ("point", "action"),
    [
        *(("after_hold", "kill"), ("after_hold", "pause"), ("before_commit", "fail")),
        *(("after_commit", "kill"), ("after_commit", "fail"), ("before_release", "pause")),
    ],
)
def test_one_purchase_meets_it_and_sales_go_on(stack: StackInfo, point: str, action: str) -> None:
    strategy = "redis_lock" if point == "before_release" else "redis_lua"
    options: dict[str, Any] = {"point": point, "action": action, "pause_s": 0.5}
    before = {each.pid for each in Workers(scene(stack)).processes()}
    with selling(stack, strategy) as shop:
        with lasting("failpoint", scene(stack, shop.sale_id), **options) as shown:
            assert point in shown
        shop.sells()
    after = {each.pid for each in Workers(scene(stack)).processes()}
    assert len(before - after) == (action == "kill")
    assert stack.failpoints is not None
    assert list(Path(stack.failpoints).iterdir()) == []


def test_a_point_that_nobody_comes_to_does_not_bite_and_is_disarmed(stack: StackInfo) -> None:
    fault = fault_class("failpoint")(scene(stack), {"point": "after_hold"})
    fault.inject()
    assert fault.bite() is None
    fault.heal()
    assert until_shown(fault.healed)
    with selling(stack):
        assert fault.bite() is None


def test_an_app_without_failpoints_has_none_to_be_armed(faulty_stack: StackInfo) -> None:
    with pytest.raises(FaultError, match="not started with failpoints"):
        fault_class("failpoint")(scene(faulty_stack), {"point": "after_hold"}).inject()
