"""Streaming HTTP responses for WSGI and ASGI, from sync and async iterators."""

from typing import TYPE_CHECKING, NoReturn

from streamkit import channels, metrics
from streamkit.channels import Channel, merge
from streamkit.errors import FellBehind, NothingMore, SizeMismatch, SourceFailed
from streamkit.event import ServerSentEvent
from streamkit.metrics import MetricsService
from streamkit.neutral import no_such_name
from streamkit.request import RequestContext, context, request_context
from streamkit.response import StreamResponse
from streamkit.resumable import Resumable
from streamkit.rows.formulas import escape_formulas
from streamkit.service import BaseStreamingService, ExportFormat, StreamingService
from streamkit.signals import shutdown, shutdown_on_signals
from streamkit.source import inline, lossless
from streamkit.zipping import zipped

if not TYPE_CHECKING:

    def __getattr__(name: str) -> NoReturn:
        raise no_such_name(name)


__version__ = "0.1.0"

__all__ = [
    "BaseStreamingService",
    "Channel",
    "ExportFormat",
    "FellBehind",
    "MetricsService",
    "NothingMore",
    "RequestContext",
    "Resumable",
    "ServerSentEvent",
    "SizeMismatch",
    "SourceFailed",
    "StreamResponse",
    "StreamingService",
    "__version__",
    "channels",
    "context",
    "escape_formulas",
    "inline",
    "lossless",
    "merge",
    "metrics",
    "request_context",
    "shutdown",
    "shutdown_on_signals",
    "zipped",
]
