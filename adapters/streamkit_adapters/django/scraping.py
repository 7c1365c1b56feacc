"""The view for Prometheus."""

from django.http import HttpRequest, HttpResponse
from werkzeug.datastructures import EnvironHeaders

from streamkit.adapting import scrape

__all__ = ["metrics"]


def metrics(request: HttpRequest) -> HttpResponse:
    """A view that answers Prometheus: ``path("metrics", metrics)``, among the ``urlpatterns``."""
    answer = scrape(request.method or "", EnvironHeaders(request.META))
    return HttpResponse(answer.body, status=answer.status, headers=dict(answer.headers))
