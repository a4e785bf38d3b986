"""The proxy's process: ``python -m flashbench.services.proxy``, with a ``ProxyPlan`` as the first line of its input.

It ends when its standard input does, whatever the cause.
"""

from __future__ import annotations

import asyncio
import gc
import random
import resource
import sys

from flashbench.services.proxy.control import ProxyDesk
from flashbench.services.proxy.fine_timers import run_finely, usual_lateness_s
from flashbench.services.proxy.link import Link
from flashbench.services.proxy.plan import ProxyPlan


async def serve(plan: ProxyPlan) -> None:
    """Forward until standard input ends."""
    chance = random.Random()
    late_s = await usual_lateness_s()
    links = {name: Link(each, chance, late_s) for name, each in plan.links.items()}
    for link in links.values():
        await link.listen()
    desk = await ProxyDesk(links, plan.secret).listen(plan.control_port)
    unwanted = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), unwanted.set)
    await unwanted.wait()
    desk.close()
    for link in links.values():
        await link.close()


def main() -> None:
    """Serve one supervisor."""
    line = sys.stdin.buffer.readline()
    if not line:
        return
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # each connection takes two
    gc.freeze()  # what was made until now is never looked through again, which would make bytes wait
    run_finely(serve(ProxyPlan.model_validate_json(line)))


if __name__ == "__main__":
    main()
