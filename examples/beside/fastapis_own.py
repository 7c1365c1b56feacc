import asyncio
import itertools
from typing import Annotated

from fastapi import FastAPI, Header
from fastapi.sse import EventSourceResponse, ServerSentEvent

app = FastAPI()


@app.get("/events", response_class=EventSourceResponse)
async def events(last_event_id: Annotated[str, Header()] = ""):
    seen = int(last_event_id) if last_event_id.isdecimal() else 0
    for number in itertools.count(seen + 1):
        yield ServerSentEvent(data={"tick": number}, id=str(number))
        await asyncio.sleep(1)
