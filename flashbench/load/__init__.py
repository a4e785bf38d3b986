"""The Locust side of the harness. Light on purpose: it is imported by processes that fork.

``Buyer`` and ``install`` are loaded when first asked for: importing Locust patches the whole process for gevent, which
nobody who only wants the options should have to suffer.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flashbench.load.buyer import Buyer
    from flashbench.load.wiring import install

__all__ = ["Buyer", "install"]


def __getattr__(name: str) -> Any:
    if name == "Buyer":
        from flashbench.load.buyer import Buyer

        return Buyer
    if name == "install":
        from flashbench.load.wiring import install

        return install
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
