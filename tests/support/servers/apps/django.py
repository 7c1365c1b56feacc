from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, StreamingHttpResponse
from django.urls import path
from servers.noting import noting_asgi, noting_wsgi
from servers.streams import answer

from streamkit_adapters.django import StreamingService

settings.configure(
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    # Of the errors of the site, to stderr.
    LOGGING_CONFIG=None,
    MIDDLEWARE=["streamkit_adapters.django.StreamkitMiddleware"],
)


def view(request: HttpRequest, path: str) -> StreamingHttpResponse:
    return answer(StreamingService, f"/{path}", request.GET.dict())


urlpatterns = [path("<path:path>", view)]
wsgi_app = noting_wsgi(get_wsgi_application())
asgi_app = noting_asgi(get_asgi_application())  # type: ignore[arg-type]
