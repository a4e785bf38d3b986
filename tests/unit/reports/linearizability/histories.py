"""Random small histories, about as many possible ones as impossible ones."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from reports.linearizability import NEVER, UNSTATED, Kind, Operation


@dataclass(frozen=True, slots=True)
class Recipe:
    """What the histories may hold."""

    most_quantity: int = 1
    reads: bool = False
    unknowns: bool = True
    stated: float = 0.0  # share of the sales that state what remained
    sequenced: bool = False


def random_history(chance: random.Random, recipe: Recipe, most: int = 7) -> tuple[int, list[Operation]]:
    """Initial units and operations: a run of a true counter, seen by clients, and then mostly tampered with."""
    initial = chance.randint(0, 3 * recipe.most_quantity)
    left, now, operations = initial, 0, []
    for seq in range(1, chance.randint(1, most) + 1):
        now += chance.choice((0, 1, 1, 2))
        invoked, returned = max(0, now - chance.randint(0, 2)), now + chance.randint(0, 2)
        quantity = chance.randint(1, recipe.most_quantity)
        if recipe.reads and chance.random() < 0.3:
            operations.append(Operation(Kind.READ, invoked, returned, remaining=left))
        elif recipe.unknowns and chance.random() < 0.3:
            left -= quantity if quantity <= left and chance.random() < 0.5 else 0
            operations.append(Operation(Kind.UNKNOWN, invoked, quantity=quantity))
        elif quantity <= left:
            left -= quantity
            stated = left if chance.random() < recipe.stated else UNSTATED
            returned = NEVER if recipe.sequenced and chance.random() < 0.1 else returned
            place = seq if recipe.sequenced else UNSTATED
            operations.append(Operation(Kind.SALE, invoked, returned, quantity, stated, place))
        else:
            operations.append(Operation(Kind.REFUSAL, invoked, returned, quantity))
    chance.shuffle(operations)
    for _ in range(chance.choice((0, 2, 4, 6))):
        place = chance.randrange(len(operations))
        operations[place] = _tampered(chance, operations[place], recipe)
    return initial, operations


def _tampered(chance: random.Random, operation: Operation, recipe: Recipe) -> Operation:
    shift = chance.choice((-2, -1, 1, 2))
    ways = ["invoked", "returned", "quantity"]
    if operation.kind is Kind.SALE and not recipe.sequenced:
        ways.append("refused")
    if operation.kind is Kind.REFUSAL and not recipe.sequenced:
        ways.append("sold")
    if operation.remaining != UNSTATED:
        ways.append("remaining")
    match chance.choice(ways):
        case "invoked":
            return replace(operation, invoked=max(0, min(operation.invoked + shift, operation.returned)))
        case "returned" if operation.returned != NEVER:
            return replace(operation, returned=max(operation.returned + shift, operation.invoked))
        case "quantity":
            return replace(operation, quantity=chance.randint(1, recipe.most_quantity))
        case "refused":
            return replace(operation, kind=Kind.REFUSAL, remaining=UNSTATED)
        case "sold":
            return replace(operation, kind=Kind.SALE)
        case "remaining":
            return replace(operation, remaining=max(-1, operation.remaining + shift))
        case _:
            return operation
