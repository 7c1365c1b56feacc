"""Streaming HTTP responses for WSGI and ASGI, from sync and async iterators."""

from streamkit import metrics
from streamkit.context import RequestContext, context, request_context
from streamkit.errors import SizeMismatch
from streamkit.event import ServerSentEvent
from streamkit.metrics import MetricsService
from streamkit.response import StreamResponse
from streamkit.service import BaseStreamingService, ExportFormat, StreamingService
from streamkit.source import inline

__all__ = [
    "BaseStreamingService",
    "ExportFormat",
    "MetricsService",
    "RequestContext",
    "ServerSentEvent",
    "SizeMismatch",
    "StreamResponse",
    "StreamingService",
    "context",
    "inline",
    "metrics",
    "request_context",
]
