"""What a framework is told that is handed a response which is none of its own.

The service of ``streamkit`` itself is what an editor offers first. Its responses are for adapters,
tests and jobs; each framework looks at them in a way of its own, and none would say what is wrong.
"""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, NoReturn

__all__ = ["Neutral", "no_such_name"]

FRAMEWORKS: Final = ("flask", "django", "fastapi", "starlette")
"""Modules of which each has an adapter of the same name."""

PLAIN: Final = ("wsgi", "asgi")

OF_ADAPTERS: Final = {
    **dict.fromkeys(("StreamkitMiddleware", "StreamingResponse"), (*FRAMEWORKS, *PLAIN)),
    **dict.fromkeys(
        ("CSVExport", "Download", "EventStream", "JSONExport", "NDJSONExport"),
        ("fastapi", "starlette"),
    ),
}
"""Names that are looked for in ``streamkit``, and the adapters that have them."""


class Neutral:
    """A response of no framework: whatever a framework does with it names the missing import."""

    __slots__ = ()

    # Type checkers are not to take it for something that may be called, or has any attribute.
    if not TYPE_CHECKING:

        def __call__(self, *arguments: Any) -> NoReturn:
            """As WSGI and ASGI call a response: Flask and Starlette."""
            raise TypeError(f"a {type(self).__name__} cannot be sent: {_advice()}")

        def __getattr__(self, name: str) -> NoReturn:
            """As the middleware of Django looks at headers, and Django itself at what to close."""
            kind = type(self).__name__
            raise AttributeError(f"{kind!r} object has no attribute {name!r}: {_advice()}")

        def keys(self) -> NoReturn:
            """As ``dict`` asks for them, by which FastAPI makes JSON of what it does not know.

            It would take the chunks for pairs otherwise.
            """
            raise TypeError(f"a {type(self).__name__} cannot be sent as JSON: {_advice()}")

        @classmethod
        def __get_pydantic_core_schema__(cls, *arguments: Any) -> NoReturn:
            """As FastAPI asks of what an endpoint is annotated with."""
            raise TypeError(f"no endpoint returns a {cls.__name__}: {_advice()}")


def no_such_name(name: str) -> ImportError | AttributeError:
    """What ``streamkit`` raises for a name that it has not: it may be one of the adapters'."""
    adapters = OF_ADAPTERS.get(name)
    if adapters is None:
        return AttributeError(f"module 'streamkit' has no attribute {name!r}")
    # Of an AttributeError, an import statement would not tell the message.
    loaded = [each for each in _loaded() if each in adapters]
    return ImportError(
        f"{name} is of the adapter of a framework: {_imports(name, loaded or adapters)}"
    )


def _advice() -> str:
    imports = _imports("StreamingService", _loaded() or PLAIN)
    return (
        "it is of the neutral service, which is for adapters and tests. In a view take the one of "
        f"its framework: {imports}"
    )


def _loaded() -> list[str]:
    """The frameworks that the application has imported."""
    names: list[str] = [name for name in FRAMEWORKS if name in sys.modules]
    if "fastapi" in names:
        # It has Starlette under itself.
        names.remove("starlette")
    return names


def _imports(name: str, adapters: Iterable[str]) -> str:
    return ", or ".join(f"from streamkit_adapters.{each} import {name}" for each in adapters)
