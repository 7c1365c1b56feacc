"""The value of a metric's label: short, and nothing in it that cannot be seen."""

import re
import unicodedata
from typing import Final

__all__ = ["OTHER", "visible"]

OTHER: Final = "other"
"""The value that stands for all there is no room for."""

MAX_LABEL_LENGTH: Final = 120
"""Characters of a label value; there is no end to those that may come from a request."""

_INVISIBLE_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cn", "Cs", "Zl", "Zp"})

# Invisible too, but categorised as marks and letters.
_FILLERS: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def visible(value: str) -> str:
    """A label value without what cannot be seen."""
    # Cut first, as normalising takes time that is quadratic in a run of combining marks.
    value = _FILLERS.sub("", value[: 4 * MAX_LABEL_LENGTH])
    value = "".join(c for c in value if unicodedata.category(c) not in _INVISIBLE_CATEGORIES)
    return unicodedata.normalize("NFKC", value)[:MAX_LABEL_LENGTH].strip() or "unknown"
