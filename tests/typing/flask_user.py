"""A Flask user's code, for the type checkers."""

from typing import assert_type

from flask import Flask, Request, Response

from streamkit_adapters.flask import (
    StreamingResponse,
    StreamingService,
    StreamkitMiddleware,
    metrics,
)

app = Flask(__name__)


def tenant(request: Request) -> str:
    return request.host


StreamkitMiddleware(app, tenant=tenant)
app.add_url_rule("/metrics", view_func=metrics)


@app.get("/orders.csv")
def orders() -> Response:
    response = StreamingService.export("orders", [{"id": 1}], "csv")
    assert_type(response, StreamingResponse)
    response.set_cookie("seen", "yes")
    return response
