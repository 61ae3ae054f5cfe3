"""Models as tests ask them: on this machine, and so that nothing of it is left when they are over."""

import asyncio
import gc
import threading

import httpx2

from orchestrator.agents.llm import requests
from orchestrator.agents.llm.providers import model_of


def leave_nothing() -> None:
    """No thread, since other tests fork, and no connection that somebody finds open later."""
    loop = requests._loop()
    asyncio.run_coroutine_threadsafe(_close_all(), loop).result(10)
    (thread,) = [one for one in threading.enumerate() if one.name == "models"]
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    requests._loop_of.cache_clear()
    model_of.cache_clear()


async def _close_all() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    for found in gc.get_objects():
        if type(found) is httpx2.AsyncClient:
            await found.aclose()
    await asyncio.get_running_loop().shutdown_asyncgens()
