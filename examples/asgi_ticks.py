from streamkit import ServerSentEvent, context
from streamkit_adapters.asgi import StreamingService, StreamkitMiddleware


async def ticks():
    for number in range(int(context.get().last_event_id or 0), 3):
        yield ServerSentEvent(data="tick", id=str(number + 1))


async def live(scope, receive, send):
    await StreamingService.sse("ticks", ticks())(scope, receive, send)


app = StreamkitMiddleware(live)
