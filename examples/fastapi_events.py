import asyncio
import itertools

from fastapi import FastAPI

from streamkit import ServerSentEvent, context
from streamkit_adapters.fastapi import EventStream, StreamingService, StreamkitMiddleware

app = FastAPI()
app.add_middleware(StreamkitMiddleware)


async def ticks(seen: int):
    for number in itertools.count(seen + 1):
        yield ServerSentEvent(data={"tick": number}, id=number)
        await asyncio.sleep(1)


@app.get("/events", response_class=EventStream)
async def events():
    seen = context.get().last_event_id
    return StreamingService.sse("ticks", ticks(int(seen) if seen and seen.isdecimal() else 0))
