"""The recipe that passes on the events of another server."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from combinations import WAIT
from pages import run

from streamkit import ServerSentEvent, context
from streamkit.testing import aconnect
from streamkit_adapters import asgi

closed: asyncio.Queue[None] = asyncio.Queue()


async def events() -> AsyncIterator[Any]:
    try:
        for number in range(int(context.get().last_event_id or 0) + 1, 3):
            yield ServerSentEvent({"tick": number}, event="tick", id=number)
        await asyncio.Event().wait()
    finally:
        closed.put_nowait(None)


async def other_side(scope: Any, receive: Any, send: Any) -> None:
    await asgi.StreamingService.sse("ticks", events())(scope, receive, send)


def test_what_comes_from_another_server_is_passed_on() -> None:
    names = run("recipes.md", {"Log in", "Go on where the client was", PASSED_ON})

    async def main() -> None:
        config = uvicorn.Config(
            asgi.StreamkitMiddleware(other_side), port=0, lifespan="off", log_level="warning"
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        names["UPSTREAM"] = f"http://127.0.0.1:{port}/"
        async with aconnect(names["app"], "/passed-on") as client:
            got = [await client.event() for _ in range(2)]
            assert [(event.type, event.data) for event in got] == [
                ("tick", '{"tick":1}'),
                ("tick", '{"tick":2}'),
            ]
        await client.assert_source_closed()
        again = aconnect(names["app"], "/passed-on", headers={"Last-Event-ID": "1"})
        async with again as client:
            assert (await client.event()).last_event_id == "2"
        for _ in range(2):
            await asyncio.wait_for(closed.get(), WAIT)
        server.should_exit = True
        await serving

    asyncio.run(main())


PASSED_ON = "Somebody else's events, passed on"
