from streamkit_adapters.wsgi import StreamingService, StreamkitMiddleware


def orders(environ, start_response):
    rows = ({"id": number, "status": "open"} for number in range(3))
    response = StreamingService.export("orders", rows, "ndjson")
    return response(environ, start_response)


app = StreamkitMiddleware(orders)
