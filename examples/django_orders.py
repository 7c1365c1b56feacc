from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import path

from streamkit_adapters.django import StreamingService

settings.configure(
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    MIDDLEWARE=["streamkit_adapters.django.StreamkitMiddleware"],
)


def orders(request):
    rows = ({"id": number, "status": request.GET["status"]} for number in range(3))
    return StreamingService.export("orders", rows, "csv")


urlpatterns = [path("orders.csv", orders)]
application = get_wsgi_application()
