"""Is a history of purchases one that a bounded counter could have had? Three exact checkers, each a pure function.

All take an ``Operations`` of one SKU and return None, or the ``Violation`` that they found. ``check_units`` and
``check_quantities`` use nothing but what clients saw; ``check_witnessed`` takes the target's word for the order of its
sales and checks that order. What each assumes and costs stands in ``docs/proof.md``.
"""

from reports.linearizability.operations import NEVER, UNSTATED, Kind, Operation, Operations, Violation
from reports.linearizability.quantities import check_quantities
from reports.linearizability.units import check_units
from reports.linearizability.witnessed import check_witnessed

__all__ = [
    "NEVER",
    "UNSTATED",
    "Kind",
    "Operation",
    "Operations",
    "Violation",
    "check_quantities",
    "check_units",
    "check_witnessed",
]
