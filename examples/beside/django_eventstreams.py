import itertools
import threading
import time

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.urls import include, path

settings.configure(
    SECRET_KEY="secret",
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    INSTALLED_APPS=["django_eventstream"],
)
application = get_asgi_application()

import django_eventstream  # noqa: E402 - it asks for the settings
from django_eventstream import send_event  # noqa: E402

urlpatterns = [path("events", include(django_eventstream.urls), {"channels": ["ticks"]})]


def publish():
    for number in itertools.count(1):
        send_event("ticks", "message", {"tick": number})
        time.sleep(1)


threading.Thread(target=publish, daemon=True).start()
