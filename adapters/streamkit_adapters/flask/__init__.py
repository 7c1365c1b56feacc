"""Flask: a response is a ``flask.Response``."""

try:
    import flask  # noqa: F401 - only to say what is missing
except ImportError as error:
    raise ImportError(f"{__name__} needs Flask: pip install 'streamkit-http[flask]'") from error

from streamkit_adapters.flask.middleware import StreamkitMiddleware
from streamkit_adapters.flask.response import StreamingResponse, StreamingService
from streamkit_adapters.flask.scraping import metrics

__all__ = ["StreamingResponse", "StreamingService", "StreamkitMiddleware", "metrics"]
