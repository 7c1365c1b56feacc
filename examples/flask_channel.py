from flask import Flask, request

from streamkit import Channel
from streamkit_adapters.flask import StreamingService, StreamkitMiddleware

app = Flask(__name__)
StreamkitMiddleware(app)
orders = Channel("orders")


@app.post("/orders")
def add():
    orders.publish({"id": request.form["id"]})
    return "", 204


@app.get("/orders/events")
def events():
    return StreamingService.sse("orders", orders)
