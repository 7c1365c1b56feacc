import asyncio
import itertools

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.urls import path

from streamkit import ServerSentEvent, context
from streamkit_adapters.django import StreamingService

settings.configure(
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    MIDDLEWARE=["streamkit_adapters.django.StreamkitMiddleware"],
)


async def ticks(seen):
    for number in itertools.count(seen + 1):
        yield ServerSentEvent(data={"tick": number}, id=number)
        await asyncio.sleep(1)


async def events(request):
    seen = context.get().last_event_id
    return StreamingService.sse("ticks", ticks(int(seen) if seen and seen.isdecimal() else 0))


urlpatterns = [path("events", events)]
application = get_asgi_application()
