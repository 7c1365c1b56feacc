"""Downloads as HTTP resources, from the ASGI adapter."""

from downloads.clients import Answer, ask_asgi
from downloads.suite import Suite, View
from werkzeug.datastructures import Headers

from streamkit_adapters import asgi


class TestASGI(Suite):
    sent_by_server = frozenset({"path", "str"})

    def ask(self, view: View, method: str, headers: Headers, *, sends_files: bool) -> Answer:
        app = view(asgi.StreamingService)
        return ask_asgi(app, method, headers, sends_files=sends_files)
