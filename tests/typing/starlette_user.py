"""A FastAPI user's code, for the type checkers."""

from typing import assert_type

from fastapi import APIRouter, FastAPI
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response

from streamkit_adapters.fastapi import (
    CSVExport,
    StreamingResponse,
    StreamingService,
    StreamkitMiddleware,
    StreamRoute,
    metrics,
)

app = FastAPI()
app.router.route_class = StreamRoute
router = APIRouter(route_class=StreamRoute)


def tenant(request: Request) -> str | None:
    return request.url.hostname


app.add_middleware(StreamkitMiddleware, tenant=tenant)
app.add_route("/metrics", metrics)


@app.get("/orders.csv", response_class=CSVExport)
def orders() -> Response:
    response = StreamingService.export("orders", [{"id": 1}], "csv")
    assert_type(response, StreamingResponse)
    response.background = BackgroundTask(print, "sent")
    return response
