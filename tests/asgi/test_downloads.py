"""Downloads as HTTP resources, from the plain adapters."""

from downloads.clients import Answer, ask_asgi, ask_wsgi
from downloads.suite import Suite, View
from werkzeug.datastructures import Headers

from streamkit_adapters import asgi, wsgi


class TestWSGI(Suite):
    sent_by_server = frozenset({"path", "str", "open file", "raw file", "begun file"})

    def ask(self, view: View, method: str, headers: Headers, *, sends_files: bool) -> Answer:
        app = view(wsgi.StreamingService)
        return ask_wsgi(app, method, headers, sends_files=sends_files)


class TestASGI(Suite):
    sent_by_server = frozenset({"path", "str"})

    def ask(self, view: View, method: str, headers: Headers, *, sends_files: bool) -> Answer:
        app = view(asgi.StreamingService)
        return ask_asgi(app, method, headers, sends_files=sends_files)
