"""FastAPI: what there is for Starlette, of which FastAPI's own responses and middleware are, and a
route that documents what an endpoint yields and answers HEAD."""

import inspect
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    Iterator,
)
from types import GenericAlias
from typing import TYPE_CHECKING, Annotated, Any, Final, get_args, get_origin, get_type_hints

try:
    from fastapi.routing import APIRoute
except ImportError as error:
    raise ImportError(f"{__name__} needs FastAPI: pip install 'streamkit-http[fastapi]'") from error

from pydantic import GetJsonSchemaHandler, TypeAdapter
from starlette.routing import Match

from streamkit_adapters.starlette import (
    CSVExport,
    Download,
    EventStream,
    JSONExport,
    NDJSONExport,
    StreamingResponse,
    StreamingService,
    StreamkitMiddleware,
    metrics,
)

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send

__all__ = [
    "CSVExport",
    "Download",
    "EventStream",
    "JSONExport",
    "NDJSONExport",
    "StreamRoute",
    "StreamingResponse",
    "StreamingService",
    "StreamkitMiddleware",
    "metrics",
]

YIELDING: Final = frozenset(
    {AsyncGenerator, AsyncIterable, AsyncIterator, Generator, Iterable, Iterator}
)

HEAD: Final = "streamkit.head"


class StreamRoute(APIRoute):
    """A route of FastAPI for streams: ``app.router.route_class = StreamRoute``, before the
    endpoints, or ``APIRouter(route_class=StreamRoute)``.

    Where ``response_class`` is ours, or the endpoint is annotated to return one of ours, it answers
    HEAD as it answers GET, as Starlette's own routes do, and starts no source for it. Where such an
    endpoint yields, the OpenAPI document has the schema of what it is annotated to yield, unless
    ``responses`` has another model. All other endpoints are as in any route.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        returned = _returned(endpoint)
        response_class = options.get("response_class")
        self._is_stream = _is_ours(response_class) or _is_ours(returned)
        if _is_ours(response_class) and _yields(endpoint):
            model = _model_of(returned, response_class)
            if model is not None:
                status = int(options.get("status_code") or 200)
                responses = dict(options.get("responses") or {})
                key = str(status) if str(status) in responses else status
                responses[key] = {"model": model, **responses.get(key, {})}
                options["responses"] = responses
        super().__init__(path, endpoint, **options)

    def _answers_head(self, scope: "Scope") -> bool:
        # HEAD is not among the methods, each of which is an operation of the document.
        if not self._is_stream or scope["type"] != "http" or scope["method"] != "HEAD":
            return False
        return "GET" in (self.methods or ())

    def matches(self, scope: "Scope") -> "tuple[Match, Scope]":
        match, child_scope = super().matches(scope)
        if match is Match.PARTIAL and self._answers_head(scope):
            match = Match.FULL
        return match, child_scope

    async def handle(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if self._answers_head(scope):
            # FastAPI sends all other methods away. The handler sets it right again.
            scope = {**scope, "method": "GET", HEAD: True}
        await super().handle(scope, receive, send)

    def get_route_handler(self) -> "Callable[[Request], Coroutine[Any, Any, Response]]":
        respond = super().get_route_handler()

        async def respond_to_any(request: "Request") -> "Response":
            if request.scope.pop(HEAD, False):
                request.scope["method"] = "HEAD"
            return await respond(request)

        return respond_to_any


def _is_ours(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, StreamingResponse)


def _yields(endpoint: Callable[..., Any]) -> bool:
    return inspect.isgeneratorfunction(endpoint) or inspect.isasyncgenfunction(endpoint)


def _returned(endpoint: Callable[..., Any]) -> Any:
    """What ``endpoint`` is annotated to return; None if nobody can tell."""
    try:
        return get_type_hints(endpoint, include_extras=True).get("return")
    except Exception:
        # A name that only a type checker imports may fail in any way, and takes a schema, no more.
        return None


def _model_of(returned: Any, response_class: Any) -> Any:
    """What FastAPI is to document of an endpoint that yields, which is annotated as ``returned``.

    OpenAPI (3.2, "Sequential Media Types") has such a body be an array of its items, as that of a
    JSONExport is. FastAPI takes the schema of single items (``itemSchema``) from nobody. None if
    there is no schema, or none that would be true.
    """
    if get_origin(returned) not in YIELDING or not get_args(returned):
        return None
    item = get_args(returned)[0]
    is_event = issubclass(response_class, EventStream)
    if hasattr(item, "_fields") and not is_event:
        # A named tuple is a row with names, and pydantic calls it an array.
        return None
    try:
        adapter = TypeAdapter(item)
        schema = adapter.json_schema(mode="serialization")
        # Names are sent, and FastAPI documents aliases.
        is_true = schema == adapter.json_schema(mode="serialization", by_alias=False)
    except Exception:
        # A row may be of any type, also one that pydantic does not know; so is ServerSentEvent.
        return None
    if not (schema and is_true):
        return None
    items = GenericAlias(list, (item,))
    return Annotated[items, _Events()] if is_event else items


class _Events:
    """In an annotation: the items are sent as the data of events."""

    def __get_pydantic_json_schema__(
        self, core_schema: Any, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        schema = handler(core_schema)
        data: dict[str, Any] = {"type": "string"}
        if not _may_be_text(schema["items"], handler):
            data |= {"contentMediaType": "application/json", "contentSchema": schema["items"]}
        event = {
            "data": data,
            "event": {"type": "string"},
            "id": {"type": "string"},
            "retry": {"type": "integer", "minimum": 0},
        }
        schema["items"] = {"type": "object", "properties": event, "required": ["data"]}
        return schema


def _may_be_text(schema: Any, handler: GetJsonSchemaHandler) -> bool:
    """Whether a value of ``schema`` may be a str, which is sent as it is, and not as JSON."""
    schema = handler.resolve_ref_schema(schema)
    if "anyOf" in schema or "oneOf" in schema:
        return any(_may_be_text(one, handler) for one in schema.get("anyOf") or schema["oneOf"])
    return bool(schema.get("type", "string") == "string")
