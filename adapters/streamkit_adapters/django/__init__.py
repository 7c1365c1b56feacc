"""Django: a response is a ``django.http.StreamingHttpResponse``, under WSGI and ASGI alike."""

try:
    import django  # noqa: F401 - only to say what is missing
except ImportError as error:
    raise ImportError(f"{__name__} needs Django: pip install 'streamkit-http[django]'") from error

from streamkit_adapters.django.middleware import StreamkitMiddleware
from streamkit_adapters.django.response import StreamingResponse
from streamkit_adapters.django.scraping import metrics
from streamkit_adapters.django.service import StreamingService

__all__ = ["StreamingResponse", "StreamingService", "StreamkitMiddleware", "metrics"]
