"""The text of an export, compressed if the request allows it."""

from dataclasses import replace

from werkzeug.datastructures import Headers
from werkzeug.http import parse_set_header

from streamkit.encoders import CompressedEncoder, coding
from streamkit.http.headers import ResponseHeaders
from streamkit.http.negotiation import Answer, Negotiator
from streamkit.plan import Plan

__all__ = ["Coded"]


class Coded(Negotiator):
    """Negotiates the content coding (RFC 9110, section 12.5.3), unless there is one already."""

    def negotiate(
        self, plan: Plan, method: str, request: Headers, status: int, headers: ResponseHeaders
    ) -> Answer:
        """The answer: its plan has a compressing encoder around that of ``plan``, or is ``plan``.

        Of ``headers`` it changes ``Vary``, and sets ``Content-Encoding`` if it compresses. A
        response that has one already was encoded by the application, and is left as it is.
        """
        if "Content-Encoding" not in headers:
            vary = parse_set_header(
                ", ".join(v for name, v in headers.items() if name.lower() == "vary")
            )
            vary.add("Accept-Encoding")
            headers["Vary"] = vary.to_header()
            accepted = coding.accepted(request.get("Accept-Encoding", ""))
            if accepted is not None:
                headers["Content-Encoding"] = accepted
                encoder = CompressedEncoder(plan.encoder, coding.compressor(accepted))
                plan = replace(plan, encoder=encoder)
        return Answer(status, plan)
