import asyncio
import itertools
import json
from typing import Annotated

from fastapi import FastAPI, Header
from sse_starlette import EventSourceResponse

app = FastAPI()


async def ticks(seen):
    for number in itertools.count(seen + 1):
        yield {"data": json.dumps({"tick": number}), "id": str(number)}
        await asyncio.sleep(1)


@app.get("/events")
async def events(last_event_id: Annotated[str, Header()] = ""):
    return EventSourceResponse(ticks(int(last_event_id) if last_event_id.isdecimal() else 0))
