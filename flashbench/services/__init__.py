"""The servers that a run needs, and the one process that owns them."""

from flashbench.services.model import ServiceInfo, StackInfo, StackRequest
from flashbench.services.stack import Stack

__all__ = ["ServiceInfo", "Stack", "StackInfo", "StackRequest"]
