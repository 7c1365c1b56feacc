"""The route that answers HEAD, and documents what an endpoint of FastAPI yields."""

import enum
import typing
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Generator,
    Iterable,
    Iterator,
)
from importlib.util import find_spec
from typing import Any, Literal, NamedTuple

import pytest
from asgi_client import get
from downloads.clients import ask_asgi
from fastapi import APIRouter, Depends, FastAPI, HTTPException
from prometheus_client import CollectorRegistry
from pydantic import BaseModel, Field
from starlette.requests import Request
from werkzeug.datastructures import Headers

from streamkit import ServerSentEvent
from streamkit_adapters.fastapi import (
    CSVExport,
    EventStream,
    JSONExport,
    NDJSONExport,
    StreamingResponse,
    StreamingService,
    StreamRoute,
)

yields = pytest.mark.skipif(
    find_spec("fastapi.sse") is None, reason="that FastAPI takes no endpoint that yields"
)


class Order(BaseModel):
    id: int


class Color(enum.Enum):
    RED = "red"


class Named(NamedTuple):
    id: int


class Aliased(BaseModel):
    id: int = Field(serialization_alias="ID")


class Refund(BaseModel):
    order: int


class Strange:
    pass


def streaming_app() -> FastAPI:
    app = FastAPI()
    app.router.route_class = StreamRoute
    return app


def head(app: FastAPI, path: str = "/") -> Any:
    return ask_asgi(app, "HEAD", Headers(), sends_files=False, path=path)


def content(app: FastAPI, path: str = "/") -> Any:
    return app.openapi()["paths"][path]["get"]["responses"]["200"]["content"]


ORDER = {"$ref": "#/components/schemas/Order"}

EVENT: dict[str, Any] = {
    "type": "object",
    "required": ["data"],
    "properties": {
        "data": {"type": "string"},
        "event": {"type": "string"},
        "id": {"type": "string"},
        "retry": {"type": "integer", "minimum": 0},
    },
}

JSON_EVENT = EVENT | {
    "properties": EVENT["properties"]
    | {
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": ORDER,
        }
    }
}


class TestHead:
    """HEAD is answered where GET is, and no source is started for it."""

    def test_of_an_endpoint_that_returns(self, registry: CollectorRegistry) -> None:
        app = streaming_app()
        started = []

        def rows() -> Iterator[Any]:
            started.append(True)
            yield {"id": 1}

        @app.get("/", response_class=CSVExport)
        def orders() -> Any:
            return StreamingService.export("orders", rows(), "csv")

        answer = head(app)
        assert (answer.status, answer.body, started) == (200, b"", [])
        assert answer.headers["Content-Type"] == get(app).headers["Content-Type"]
        assert started == [True]

    @yields
    @pytest.mark.parametrize("response_class", [EventStream, NDJSONExport, JSONExport, CSVExport])
    def test_of_an_endpoint_that_yields(self, response_class: Any) -> None:
        app = streaming_app()
        started = []

        @app.get("/", response_class=response_class)
        async def orders() -> AsyncIterator[Order]:
            started.append(True)
            yield Order(id=1)

        answer = head(app)
        assert (answer.status, answer.body, started) == (200, b"", [])
        assert answer.headers["Content-Type"].startswith(response_class.media_type)
        assert b"1" in get(app).body

    def test_of_a_download_without_a_class(self) -> None:
        app = streaming_app()

        @app.get("/")
        def report() -> StreamingResponse:
            return StreamingService.download(b"0123456789", filename="report.bin")

        answer = head(app)
        assert (answer.status, answer.body) == (200, b"")
        assert answer.headers["Content-Length"] == "10"

    def test_on_a_router_with_a_prefix_in_another(self) -> None:
        inner, outer = APIRouter(route_class=StreamRoute), APIRouter()

        @inner.get("/{number}.csv", response_class=CSVExport)
        def orders(number: int) -> Any:
            return StreamingService.export("orders", [{"id": number}], "csv")

        outer.include_router(inner, prefix="/orders")
        app = FastAPI()
        app.include_router(outer, prefix="/shop")
        answer = head(app, "/shop/orders/7.csv")
        assert (answer.status, answer.body) == (200, b"")
        assert get(app, "/shop/orders/7.csv").body == b"id\r\n7\r\n"
        assert list(app.openapi()["paths"]["/shop/orders/{number}.csv"]) == ["get"]

    def test_the_endpoint_and_its_dependencies_are_asked_as_of_head(self) -> None:
        app = streaming_app()
        seen: list[str] = []

        def customer(request: Request) -> str:
            seen.append(request.method)
            if "x-customer" not in request.headers:
                raise HTTPException(401)
            return request.headers["x-customer"]

        @app.get("/", response_class=CSVExport)
        def orders(customer: str = Depends(customer)) -> Any:
            return StreamingService.export("orders", [{"customer": customer}], "csv")

        assert head(app).status == 401
        answer = ask_asgi(app, "HEAD", Headers({"X-Customer": "me"}), sends_files=False)
        assert answer.status == 200
        assert seen == ["HEAD", "HEAD"]

    @pytest.mark.parametrize("path", ["/{path:path}", "/"])
    def test_before_a_route_that_comes_later(self, path: str) -> None:
        app = streaming_app()

        @app.post("/")
        def add() -> None: ...

        @app.get("/", response_class=CSVExport)
        def orders() -> Any:
            return StreamingService.export("orders", [{"id": 1}], "csv")

        @app.api_route(path, methods=["GET", "HEAD"])
        def anything() -> str:
            return "other"

        assert head(app).headers["Content-Type"].startswith("text/csv")

    def test_a_route_for_it_that_comes_first_is_taken(self) -> None:
        app = streaming_app()

        @app.head("/", response_class=CSVExport)
        def short() -> Any:
            return StreamingService.export("short", [], "csv", columns=["id"], filename="short.csv")

        @app.get("/", response_class=CSVExport)
        def orders() -> Any:
            return StreamingService.export("orders", [{"id": 1}], "csv")

        assert "short.csv" in head(app).headers["Content-Disposition"]

    def test_other_methods_and_other_routes_are_as_they_were(self) -> None:
        app = streaming_app()

        @app.get("/plain")
        def plain() -> dict[str, int]:
            return {"id": 1}

        @app.post("/", response_class=CSVExport)
        def add() -> Any:
            return StreamingService.export("orders", [{"id": 1}], "csv")

        assert head(app, "/plain").status == 405
        assert head(app).status == 405
        assert get(app, "/plain").body == b'{"id":1}'
        assert content(app, "/plain")["application/json"]["schema"]["type"] == "object"

    def test_it_is_no_operation_of_its_own(self) -> None:
        app = streaming_app()

        @app.get("/", response_class=CSVExport)
        def orders() -> Any:
            return StreamingService.export("orders", [{"id": 1}], "csv")

        # And no warning of an operation id that is there twice.
        assert list(app.openapi()["paths"]["/"]) == ["get"]


class TestAnnotation:
    def test_that_only_a_type_checker_can_read(self) -> None:
        app = streaming_app()

        @app.get("/", response_class=CSVExport, response_model=None)
        def orders() -> "Unknown":  # type: ignore[name-defined]  # noqa: F821
            return StreamingService.export("orders", [{"id": 1}], "csv")

        assert head(app).status == 200


@yields
class TestSchema:
    """The OpenAPI document has the schema of what an endpoint is annotated to yield."""

    @staticmethod
    def document(returned: Any, response_class: Any, **options: Any) -> Any:
        async def orders() -> Any:
            yield Order(id=1)

        orders.__annotations__["return"] = returned
        app = streaming_app()
        app.get("/", response_class=response_class, **options)(orders)
        document = content(app)
        assert list(document) == [response_class.media_type]
        return document[response_class.media_type]["schema"]

    @pytest.mark.parametrize(
        "annotation",
        [
            AsyncIterator[Order],
            AsyncIterable[Order],
            AsyncGenerator[Order],
            AsyncGenerator[Order, None],
            "AsyncIterator[Order]",
        ],
    )
    def test_of_rows(self, annotation: Any) -> None:
        schema = self.document(annotation, NDJSONExport)
        assert (schema["type"], schema["items"]) == ("array", ORDER)

    @pytest.mark.parametrize("annotation", [Iterator[Order], Iterable[Order], Generator[Order]])
    def test_of_a_sync_endpoint(self, annotation: Any) -> None:
        def orders() -> Any:
            yield Order(id=1)

        orders.__annotations__["return"] = annotation
        app = streaming_app()
        app.get("/", response_class=JSONExport)(orders)
        assert content(app)["application/json"]["schema"]["items"] == ORDER

    def test_of_events(self) -> None:
        assert self.document(AsyncIterator[Order], EventStream)["items"] == JSON_EVENT

    def test_of_events_of_several_kinds(self) -> None:
        items = self.document(AsyncIterator[Order | Refund], EventStream)["items"]
        data = items["properties"]["data"]
        assert data["contentSchema"] == {"anyOf": [ORDER, {"$ref": "#/components/schemas/Refund"}]}

    @pytest.mark.parametrize("text", [str, Literal["a", "b"], Color, str | Order])
    def test_of_events_whose_data_may_be_text(self, text: Any) -> None:
        assert self.document(AsyncIterator[text], EventStream)["items"] == EVENT

    @pytest.mark.parametrize(
        ("item", "response_class"),
        [
            (Any, EventStream),
            (ServerSentEvent, EventStream),
            (Order | ServerSentEvent, EventStream),
            (Strange, NDJSONExport),
            (Named, NDJSONExport),
            (Aliased, NDJSONExport),
        ],
    )
    def test_of_none_where_it_would_not_be_true(self, item: Any, response_class: Any) -> None:
        assert self.document(AsyncIterator[item], response_class) == {"type": "string"}

    def test_of_none_where_no_item_is_named(self) -> None:
        assert self.document(typing.AsyncIterator, NDJSONExport) == {"type": "string"}

    def test_of_none_where_nothing_is_said(self) -> None:
        app = streaming_app()

        @app.get("/", response_class=NDJSONExport)
        async def orders():  # type: ignore[no-untyped-def]
            yield Order(id=1)

        assert content(app)[NDJSONExport.media_type]["schema"] == {"type": "string"}

    def test_of_another_model_that_responses_has(self) -> None:
        class Other(BaseModel):
            name: str

        for status in (200, "200"):
            responses: Any = {status: {"model": Other}, 404: {"description": "no such order"}}
            schema = self.document(AsyncIterator[Order], NDJSONExport, responses=responses)
            assert schema == {"type": "string", "$ref": "#/components/schemas/Other"}
            # Which is the user's own.
            assert responses[status] == {"model": Other}

    def test_with_another_description_of_the_response(self) -> None:
        responses = {200: {"description": "all orders"}}
        schema = self.document(AsyncIterator[Order], NDJSONExport, responses=responses)
        assert schema["items"] == ORDER

    def test_under_the_status_of_the_endpoint(self) -> None:
        app = streaming_app()

        @app.get("/", response_class=NDJSONExport, status_code=202)
        async def orders() -> AsyncIterator[Order]:
            yield Order(id=1)

        responses = app.openapi()["paths"]["/"]["get"]["responses"]
        assert list(responses) == ["202"]
        assert responses["202"]["content"][NDJSONExport.media_type]["schema"]["items"] == ORDER

    def test_where_two_models_have_one_name(self) -> None:
        def other() -> Any:
            class Order(BaseModel):
                name: str

            return Order

        app = streaming_app()
        models: Any = {"/first": Order, "/second": other()}
        for path, model in models.items():

            def orders() -> Any:
                yield

            orders.__annotations__["return"] = Iterator[model]  # type: ignore[valid-type]
            app.get(path, response_class=NDJSONExport, name=path)(orders)
        schemas = app.openapi()["components"]["schemas"]
        for path, field in (("/first", "id"), ("/second", "name")):
            reference = content(app, path)[NDJSONExport.media_type]["schema"]["items"]["$ref"]
            assert field in schemas[reference.rpartition("/")[2]]["properties"]

    def test_on_a_router(self) -> None:
        router = APIRouter(route_class=StreamRoute, prefix="/shop")

        @router.get("/orders", response_class=EventStream)
        async def orders() -> AsyncIterator[Order]:
            yield Order(id=1)

        app = FastAPI()
        app.include_router(router)
        assert content(app, "/shop/orders")["text/event-stream"]["schema"]["items"] == JSON_EVENT

    def test_what_fastapi_streams_itself_is_as_it_was(self) -> None:
        app = streaming_app()

        @app.get("/")
        async def orders() -> AsyncIterator[Order]:
            yield Order(id=1)

        assert content(app) == {"application/jsonl": {"itemSchema": ORDER}}
        assert head(app).status == 405


class TestReturning:
    """An endpoint that returns has none: what it streams is not in its annotation."""

    def test_the_document_is_as_it_was(self) -> None:
        app = streaming_app()

        @app.get("/", response_class=CSVExport)
        def orders() -> StreamingResponse:
            return StreamingService.export("orders", [{"id": 1}], "csv")

        assert content(app) == {"text/csv": {"schema": {"type": "string"}}}
