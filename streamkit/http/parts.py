"""The bytes of a download: all of them, some, or none, as the request asks."""

from collections.abc import Callable, Sequence
from typing import Any

from werkzeug.datastructures import Headers

from streamkit.encoders import OctetsEncoder
from streamkit.http import preconditions, ranges
from streamkit.http.byteranges import Part, content_range, multipart, parts_source
from streamkit.http.headers import ResponseHeaders
from streamkit.http.negotiation import Representation, without_body
from streamkit.resource import FileResource, Resource
from streamkit.stream.pipeline import Pipeline

__all__ = ["Download"]


class Download(Representation):
    """Answers preconditions and, if it is of a resource, ranges (RFC 9110, sections 13 and 14).

    It goes by the headers of the response: an ``ETag`` that was set after it was made counts.
    """

    def __init__(self, resource: Resource | None, read: Callable[[Any], Any]) -> None:
        """``read`` makes of a source one as the framework reads it."""
        self._resource = resource
        self._read = read

    def select(
        self,
        method: str,
        request: Headers,
        status: int,
        headers: ResponseHeaders,
        pipeline: Pipeline,
    ) -> int:
        is_conditional = status == 200 and method in ("GET", "HEAD")
        if is_conditional and (failed := preconditions.evaluate(request, headers)) != 200:
            without_body(headers)
            return failed
        resource, wanted = self._resource, None
        if resource is None:
            return status
        # Only GET has ranges.
        has_range = is_conditional and method == "GET" and "Range" in request
        if has_range and preconditions.if_range(request, headers):
            # On more than one line it is malformed.
            wanted = ranges.requested(",".join(request.getlist("Range")), resource.size)
        if wanted is None:
            return self._select_whole(resource, status)
        if not wanted:
            without_body(headers)
            headers["Content-Range"] = f"bytes */{resource.size}"
            return 416
        return self._select_part(resource, wanted, headers, pipeline)

    def _select_whole(self, resource: Resource, status: int) -> int:
        if isinstance(resource, FileResource):
            self.file = resource
        return status

    def _select_part(
        self,
        resource: Resource,
        wanted: list[range],
        headers: ResponseHeaders,
        pipeline: Pipeline,
    ) -> int:
        parts: list[Part] = [*wanted]
        if len(wanted) == 1:
            headers["Content-Range"] = content_range(wanted[0], resource.size)
        else:
            content_type, parts = multipart(wanted, resource.size, headers.get("Content-Type"))
            if sum(map(len, parts)) >= resource.size:
                return self._select_whole(resource, 200)
            headers["Content-Type"] = content_type
        length = sum(map(len, parts))
        headers["Content-Length"] = str(length)
        pipeline.carry(self.source(resource, parts), OctetsEncoder(length))
        return 206

    def source(self, resource: Resource, parts: Sequence[Part]) -> Any:
        """The bytes of ``parts``, as the framework reads them."""
        source = parts_source(resource, parts)
        return source if resource.is_quick else self._read(source)
