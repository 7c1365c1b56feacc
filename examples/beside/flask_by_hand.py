import itertools
import json
import time

from flask import Flask, Response, request, stream_with_context

app = Flask(__name__)


def ticks(seen):
    for number in itertools.count(seen + 1):
        yield f"id: {number}\ndata: {json.dumps({'tick': number})}\n\n"
        time.sleep(1)


@app.get("/events")
def events():
    seen = request.headers.get("Last-Event-ID", "")
    source = ticks(int(seen) if seen.isdecimal() else 0)
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return Response(stream_with_context(source), mimetype="text/event-stream", headers=headers)
