"""Flask's contexts, which last as long as a stream, and are then torn down."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import flask
from flask.globals import app_ctx, request_ctx

from streamkit.adapting import LastOf, Once, StreamResponse

__all__ = ["keep_contexts"]


def keep_contexts(stream: StreamResponse) -> Callable[[], None]:
    """Put the teardown of the request's and the app's context off until ``stream`` is over.

    Flask tears a context down when it is popped as often as it was pushed, and takes the pushes
    back in their order. The one here comes before that of the request, and is never taken back:
    what Flask would do then is done when the stream is over and the request was handled. That it
    was handled is to be told by calling what is returned, once or more often.
    """
    contexts: tuple[Any, ...] = (app_ctx, request_ctx)
    failure: list[BaseException] = []
    is_last = LastOf(2)
    is_first = Once()

    def keep() -> None:
        # Flask keeps a token for each push. The newest is put first, so that the request's own pops
        # never come to it.
        for pushed in contexts:
            pushed.push()
            pushed._cv_tokens.insert(0, pushed._cv_tokens.pop())

    def part_is_over(error: BaseException | None = None) -> None:
        if error is not None:
            failure.append(error)
        if is_last():
            # Whoever calls this may be in the stream's own context still, which cannot be entered
            # twice at a time.
            stream.context.copy().run(tear_down)

    def tear_down() -> None:
        is_popped = len(request_ctx._cv_tokens) == 1
        for pushed in contexts:
            del pushed._cv_tokens[0]
        if is_popped:
            error = failure[0] if failure else None
            with ExitStack() as stack:
                stack.callback(app_ctx.app.do_teardown_appcontext, error)
                stack.callback(request_ctx.request.close)
                stack.callback(app_ctx.app.do_teardown_request, error)

    def tell_handled() -> None:
        if is_first():
            part_is_over()

    if stream.never_waits or not stream.context.run(flask.has_request_context):
        return lambda: None
    stream.context.run(keep)
    stream.call_on_close(part_is_over)
    return tell_handled
