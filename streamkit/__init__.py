"""Streaming HTTP responses for WSGI and ASGI, from sync and async iterators."""

from streamkit import metrics
from streamkit.errors import NothingMore, SizeMismatch
from streamkit.event import ServerSentEvent
from streamkit.metrics import MetricsService
from streamkit.request import RequestContext, context, request_context
from streamkit.response import StreamResponse
from streamkit.rows.formulas import escape_formulas
from streamkit.service import BaseStreamingService, ExportFormat, StreamingService
from streamkit.signals import shutdown, shutdown_on_signals
from streamkit.source import inline

__version__ = "0.1.0"

__all__ = [
    "BaseStreamingService",
    "ExportFormat",
    "MetricsService",
    "NothingMore",
    "RequestContext",
    "ServerSentEvent",
    "SizeMismatch",
    "StreamResponse",
    "StreamingService",
    "__version__",
    "context",
    "escape_formulas",
    "inline",
    "metrics",
    "request_context",
    "shutdown",
    "shutdown_on_signals",
]
