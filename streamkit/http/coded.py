"""The text of an export, compressed if the request allows it."""

from werkzeug.datastructures import Headers
from werkzeug.http import parse_set_header

from streamkit.encoders import CompressedEncoder, coding
from streamkit.http.headers import ResponseHeaders
from streamkit.http.negotiation import Representation
from streamkit.stream.pipeline import Pipeline

__all__ = ["Export"]


class Export(Representation):
    """Negotiates the content coding (RFC 9110, section 12.5.3), unless there is one already."""

    def select(
        self,
        method: str,
        request: Headers,
        status: int,
        headers: ResponseHeaders,
        pipeline: Pipeline,
    ) -> int:
        if "Content-Encoding" not in headers:
            vary = parse_set_header(
                ", ".join(v for name, v in headers.items() if name.lower() == "vary")
            )
            vary.add("Accept-Encoding")
            headers["Vary"] = vary.to_header()
            accepted = coding.accepted(request.get("Accept-Encoding", ""))
            if accepted is not None:
                headers["Content-Encoding"] = accepted
                pipeline.encoder = CompressedEncoder(pipeline.encoder, coding.compressor(accepted))
        return status
