"""An application that OpenTelemetry is set up in: what its streams tell, as JSON on its output.

Each stream has a name of its own. To be run as a program, since a process is set up once.
"""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any
from wsgiref.util import FileWrapper

# Before it is set up, as an application's import may be.
import opentelemetry.metrics
import opentelemetry.trace
from asgi_client import get
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from werkzeug.test import Client, EnvironBuilder

import streamkit
from streamkit import Channel, StreamingService
from streamkit_adapters import asgi, wsgi

Answer = Callable[[Any], Any]

tracer = opentelemetry.trace.get_tracer("shop")


def ask_wsgi(name: str, answer: Answer) -> bytes:
    def view(environ: Any, start_response: Any) -> Any:
        with tracer.start_as_current_span(f"request {name}"):
            return answer(wsgi.StreamingService)(environ, start_response)

    body: bytes = Client(wsgi.StreamkitMiddleware(view)).get("/").data
    return body


def ask_asgi(name: str, answer: Answer) -> bytes:
    async def view(scope: Any, receive: Any, send: Any) -> None:
        with tracer.start_as_current_span(f"request {name}"):
            await answer(asgi.StreamingService)(scope, receive, send)

    return get(asgi.StreamkitMiddleware(view)).body


def rows(name: str, *, fails: bool = False) -> Iterator[Any]:
    with tracer.start_as_current_span(f"query {name}"):
        yield {"id": 1}
    if fails:
        raise LookupError("no such order")
    yield {"id": 2}


async def async_rows(name: str, *, fails: bool = False) -> AsyncIterator[Any]:
    for row in rows(name, fails=fails):
        await asyncio.sleep(0)
        yield row


def export(name: str, source: Any, fails: bool, service: Any) -> Any:
    return service.export(name, source(name, fails=fails), "ndjson")


class Failing(SpanProcessor):
    def on_start(self, span: Any, parent_context: Any = None) -> None:
        if span.name == "sse untold":
            raise OSError("there is no exporter")


def main() -> None:
    list(StreamingService.sse("early", ["a"]))
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    provider = TracerProvider()
    provider.add_span_processor(Failing())
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    opentelemetry.trace.set_tracer_provider(provider)
    opentelemetry.metrics.set_meter_provider(MeterProvider([reader]))

    for protocol, ask in {"wsgi": ask_wsgi, "asgi": ask_asgi}.items():
        for kind, source in {"sync": rows, "async": async_rows}.items():
            for fails in (False, True):
                name = f"{protocol}-{kind}-{'failed' if fails else 'whole'}"

                with suppress(LookupError):
                    ask(name, partial(export, name, source, fails))

    file = wsgi.StreamingService.download(io.BytesIO(b"abc"), filename="a.bin", name="file")
    environ = EnvironBuilder(environ_overrides={"wsgi.file_wrapper": FileWrapper}).get_environ()
    start_response: Any = lambda status, headers: None  # noqa: E731
    body: Any = file(environ, start_response)
    assert b"".join(body) == b"abc"
    body.close()
    StreamingService.sse("unread", ["a"]).close()
    assert list(StreamingService.sse("untold", ["a"])) == [b"data: a\n\n"]
    Channel("orders").publish({"id": 1})
    Channel("orders").publish({"id": 2})
    figures = observed(reader)
    streamkit.metrics.use(None)
    list(StreamingService.sse("uncounted", ["a"]))
    counted = {figure["streamkit.stream"] for each in observed(reader).values() for figure in each}
    spans = {
        span.name: {
            "parent": span.parent and span.parent.span_id,
            "id": span.context.span_id,
            "trace": span.context.trace_id,
            "attributes": dict(span.attributes or {}),
            "status": span.status.status_code.name,
            "events": [(event.attributes or {})["exception.type"] for event in span.events],
        }
        for span in exporter.get_finished_spans()
    }
    print(json.dumps({"spans": spans, "figures": figures, "counted": sorted(counted)}))


def observed(reader: InMemoryMetricReader) -> dict[str, list[dict[str, Any]]]:
    data: Any = reader.get_metrics_data()
    return {
        metric.name: [
            dict(point.attributes)
            | {"unit": metric.unit, "bounds": list(getattr(point, "explicit_bounds", ()))}
            | {"value": point.count if hasattr(point, "count") else point.value}
            for point in metric.data.data_points
        ]
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


if __name__ == "__main__":
    main()
