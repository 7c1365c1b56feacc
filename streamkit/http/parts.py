"""The bytes of a download: all of them, some, or none, as the request asks."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from werkzeug.datastructures import Headers

from streamkit.encoders import OctetsEncoder
from streamkit.http import preconditions, ranges
from streamkit.http.byteranges import Part, content_range, multipart, parts_source
from streamkit.http.headers import ResponseHeaders
from streamkit.http.negotiation import Answer, Negotiator, without_body
from streamkit.plan import Plan
from streamkit.resource import FileResource, Resource

__all__ = ["Parts"]


class Parts(Negotiator):
    """Answers preconditions and, of a resource, ranges as well (RFC 9110, sections 13 and 14).

    It goes by the headers of the response as they are when it is asked: an ``ETag`` counts that
    the application has set after the call.
    """

    def __init__(self, resource: Resource | None, read: Callable[[Any], Any]) -> None:
        """``resource`` is None for bytes that can only be read once, from their beginning.

        ``read`` makes of a source one as the framework reads it.
        """
        self._resource = resource
        self._read = read

    def negotiate(
        self, plan: Plan, method: str, request: Headers, status: int, headers: ResponseHeaders
    ) -> Answer:
        """The answer: the whole, a part (206), or only a head (304, 412, 416).

        Of ``headers``, a part changes ``Content-Length``, ``Content-Range`` and, if it is of more
        than one range, ``Content-Type``. Where there is only a head, those that describe a body
        are left out, and for 416 ``Content-Range`` says how many bytes there are.
        """
        is_conditional = status == 200 and method in ("GET", "HEAD")
        if is_conditional and (failed := preconditions.evaluate(request, headers)) != 200:
            without_body(headers)
            return Answer(failed, None)
        resource, wanted = self._resource, None
        if resource is None:
            return Answer(status, plan)
        # RFC 9110, section 14.2: with any other method the header is to be ignored.
        has_range = is_conditional and method == "GET" and "Range" in request
        if has_range and preconditions.if_range(request, headers):
            # A Range header on more than one line is malformed, and joined it is read as such.
            wanted = ranges.requested(",".join(request.getlist("Range")), resource.size)
        if wanted is None:
            return Answer(status, plan, _whole_file(resource))
        if not wanted:
            without_body(headers)
            headers["Content-Range"] = f"bytes */{resource.size}"
            return Answer(416, None)
        return self._negotiate_part(plan, resource, wanted, headers)

    def _negotiate_part(
        self, plan: Plan, resource: Resource, wanted: list[range], headers: ResponseHeaders
    ) -> Answer:
        parts: list[Part] = [*wanted]
        if len(wanted) == 1:
            headers["Content-Range"] = content_range(wanted[0], resource.size)
        else:
            content_type, parts = multipart(wanted, resource.size, headers.get("Content-Type"))
            if sum(map(len, parts)) >= resource.size:
                return Answer(200, plan, _whole_file(resource))
            headers["Content-Type"] = content_type
        length = sum(map(len, parts))
        headers["Content-Length"] = str(length)
        source = self.source(resource, parts)
        return Answer(206, replace(plan, source=source, encoder=OctetsEncoder(length)))

    def source(self, resource: Resource, parts: Sequence[Part]) -> Any:
        """The bytes of ``parts``, as the framework reads them."""
        source = parts_source(resource, parts)
        return source if resource.never_waits else self._read(source)


def _whole_file(resource: Resource) -> FileResource | None:
    return resource if isinstance(resource, FileResource) and resource.is_whole else None
