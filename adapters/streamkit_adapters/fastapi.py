"""FastAPI: what there is for Starlette, of which FastAPI's own responses and middleware are."""

try:
    import fastapi  # noqa: F401 - only to say what is missing
except ImportError as error:
    raise ImportError(f"{__name__} needs FastAPI: pip install 'streamkit-http[fastapi]'") from error

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

__all__ = [
    "CSVExport",
    "Download",
    "EventStream",
    "JSONExport",
    "NDJSONExport",
    "StreamingResponse",
    "StreamingService",
    "StreamkitMiddleware",
    "metrics",
]
