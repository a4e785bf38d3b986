"""The Locust side of the harness. Light on purpose: it is imported by processes that fork."""

from flashbench.load.buyer import Buyer
from flashbench.load.install import install

__all__ = ["Buyer", "install"]
