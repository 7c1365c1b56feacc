import itertools
import time

from flask import Flask

from streamkit import ServerSentEvent, context
from streamkit_adapters.flask import StreamingService, StreamkitMiddleware

app = Flask(__name__)
StreamkitMiddleware(app)


def ticks(seen):
    for number in itertools.count(seen + 1):
        yield ServerSentEvent(data={"tick": number}, id=number)
        time.sleep(1)


@app.get("/events")
def events():
    seen = context.get().last_event_id
    return StreamingService.sse("ticks", ticks(int(seen) if seen and seen.isdecimal() else 0))
