"""The answer to Prometheus, for the adapters of frameworks to send."""

from typing import Final, NamedTuple

from werkzeug.datastructures import Headers

from streamkit.encoders import coding
from streamkit.metrics import expose

__all__ = ["Scrape", "scrape"]

METHODS: Final = ("GET", "HEAD")


class Scrape(NamedTuple):
    """What is sent: all metrics of the registry in use, or why there are none."""

    status: int
    headers: Headers
    body: bytes


def scrape(method: str, headers: Headers) -> Scrape:
    """The answer to a request of this method, with these headers.

    It is in the format and the content coding that the request likes best: OpenMetrics, or the
    older text. In prometheus-client's multiprocess mode it is that of all processes. It takes a
    tenth of a second where there are many series: under ASGI, call it on a thread.
    """
    if method not in METHODS:
        refusal = b"The metrics are read by GET.\n"
        explained = {"Allow": ", ".join(METHODS), "Content-Type": "text/plain; charset=utf-8"}
        return Scrape(405, Headers(explained), refusal)
    body, content_type = expose(", ".join(headers.getlist("Accept")))
    # What was true at this moment is not to be kept by anybody between here and Prometheus.
    answer = Headers({"Content-Type": content_type, "Cache-Control": "no-store"})
    accepted = coding.accepted(", ".join(headers.getlist("Accept-Encoding")))
    if accepted is not None:
        compressor = coding.compressor(accepted)
        body = compressor.compress(body) + compressor.finish()
        answer["Content-Encoding"] = accepted
    answer["Content-Length"] = str(len(body))
    return Scrape(200, answer, b"" if method == "HEAD" else body)
