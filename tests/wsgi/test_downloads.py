"""Downloads as HTTP resources, from the WSGI adapter."""

from downloads.clients import Answer, ask_wsgi
from downloads.suite import Suite, View
from werkzeug.datastructures import Headers

from streamkit_adapters import wsgi


class TestWSGI(Suite):
    sent_by_server = frozenset({"path", "str", "open file", "raw file", "begun file"})

    def ask(self, view: View, method: str, headers: Headers, *, sends_files: bool) -> Answer:
        app = view(wsgi.StreamingService)
        return ask_wsgi(app, method, headers, sends_files=sends_files)
