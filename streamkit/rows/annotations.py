"""The types of columns that the class of a row declares."""

import types
from functools import lru_cache
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from streamkit.rows.drivers import example_of_sql_type
from streamkit.rows.header import example_of_type

__all__ = ["examples_of_class"]


@lru_cache
def examples_of_class(kind: Any) -> dict[str, Any]:
    """An example of what each attribute of ``kind`` holds, as far as it declares that: ``Header``.

    A class is a dataclass or the like, a named tuple, or one that SQLAlchemy maps to a table.
    """
    if hasattr(kind, "__mapper__"):
        attributes = kind.__mapper__.column_attrs.items()
        return {name: example_of_sql_type(each.columns[0].type) for name, each in attributes}
    try:
        hints = get_type_hints(kind)
    except Exception:
        # A name that it mentions may only be there for a type checker.
        return {}
    return {name: _example_of_hint(hint) for name, hint in hints.items()}


def _example_of_hint(hint: Any) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _example_of_hint(arguments[0])
    if origin in (Union, types.UnionType):
        [*kinds] = {*arguments} - {types.NoneType}
        return _example_of_hint(kinds[0]) if len(kinds) == 1 else None
    if origin is list:
        return [_example_of_hint(arguments[0])]
    return example_of_type(hint)
