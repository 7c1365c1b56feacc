"""The file name of a download, made safe for the header and for the disk that it lands on."""

import mimetypes
import re
import unicodedata
from functools import lru_cache
from typing import Final
from urllib.parse import quote

from werkzeug.http import quote_header_value

__all__ = ["content_disposition", "guess_content_type", "safe_path", "with_extension"]

MAX_NAME_BYTES: Final = 240
"""Bytes of UTF-8 that a file name has at the most.

Common file systems allow 255 (``NAME_MAX``), and a browser adds to the name: `` (1)`` where it is
taken, ``.crdownload`` while it saves.
"""

MAX_PATH_BYTES: Final = 2**15
"""Of a file in an archive with its folders: half of what it can tell, as names get numbers."""

MAX_NAME_LENGTH: Final = 1100
"""Characters of a name that are looked at: it may come from a user, and be of any length."""

_INVISIBLE_CATEGORIES: Final = frozenset({"Cc", "Cf", "Zl", "Zp"})

# U+200C and U+200D say whether a character is joined to the one before, which is never ASCII.
_JOINERS: Final = "\u200c\u200d"
_STRAY_JOINERS: Final = re.compile(f"(?<![^\0-\x7f])[{_JOINERS}]+")

# Windows takes these for devices, whatever extension follows ("Naming Files, Paths, and
# Namespaces" in its documentation).
_WINDOWS_DEVICES: Final = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³]) *(?:[.:]|\Z)", re.IGNORECASE
)

# A name may have two extensions, as in .tar.gz.
_EXTENSION: Final = re.compile(r"(?:\.[^. ]{1,10}){1,2}\Z")

# A quote or a percent sign in a quoted string is read in more than one way (RFC 6266 appendix D).
_NOT_PLAIN: Final = re.compile(r"[^ -~]|[\"%/\\]")

# RFC 8187, section 3.2.1 (attr-char): these are sent as they are, as letters and digits are.
_ATTR_CHARS: Final = "!#$&+-.^_`|~"

_COMPRESSED_TYPES: Final = {
    "br": "application/x-brotli",
    "bzip2": "application/x-bzip2",
    "compress": "application/x-compress",
    "gzip": "application/gzip",
    "xz": "application/x-xz",
}


def with_extension(filename: str, extension: str) -> str:
    """``filename``, made safe, with ``extension`` unless it ends in it.

    Raises TypeError if ``filename`` is no str.
    """
    _check_str(filename)
    name = _last_component(filename) or "download"
    return name if name.lower().endswith(extension) else f"{name}{extension}"


def safe_path(path: str) -> str:
    """The name of a file in an archive, with its folders: each made safe as that of a download.

    None leads out of where the archive is unpacked. A colon, which names a drive or a stream of a
    file to Windows, becomes ``_``. Of more folders than an archive can tell the last are kept.
    """
    names = path.replace("\\", "/").replace(":", "_").split("/")
    # What was a dot, or two, has nothing left.
    parts = [*filter(None, (_safe_name(name[:MAX_NAME_LENGTH]) for name in names))]
    room = MAX_PATH_BYTES
    for count, part in enumerate(reversed(parts)):
        room -= len(part.encode()) + 1
        if room < 0:
            return "/".join(parts[-count:])
    return "/".join(parts) or "file"


def content_disposition(
    filename: str, *, inline: bool = False, content_type: str | None = None
) -> str:
    """The value of a ``Content-Disposition`` header (RFC 6266), in ASCII.

    A plain name goes out as ``filename="..."``. One with anything but ASCII, a quote or a percent
    sign goes out as ``filename*=UTF-8''...`` (RFC 8187), after a fallback in ``filename`` that has
    lost its accents, and has ``_`` for what is not ASCII even so.

    Of ``filename``, only what follows the last ``/`` or ``\\`` counts, unless that is nothing. Left
    out of it are characters that cannot be seen (control and format characters, all bidi overrides
    among them, and line separators; the joiners of scripts and emoji stay where they follow a
    character that is not ASCII), spaces at either end and dots at the end; a dot at the start
    stays. A lone surrogate becomes ``_``, and a name that Windows gives to a device gets a ``_``
    before it. What is longer than 240 bytes of UTF-8 is cut before the extension.

    One of which nothing is left is ``download``, with the extension of ``content_type``: names come
    from users as well.

    Raises TypeError if ``filename`` is no str.
    """
    _check_str(filename)
    name = _last_component(filename) or f"download{_extension_of(content_type)}"
    fallback = _safe_name(_plain(name)) or "_"
    value = "inline" if inline else "attachment"
    value += f"; filename={quote_header_value(fallback, allow_token=False)}"
    if name != fallback:
        value += f"; filename*=UTF-8''{quote(name, safe=_ATTR_CHARS)}"
    return value


def guess_content_type(filename: str) -> str:
    """The media type that the extension of ``filename`` stands for; text is taken for UTF-8.

    For a compressed file it is the type of the compression (``application/gzip`` for ``.tar.gz``),
    so that the client keeps it as it is, and ``application/octet-stream`` for what is unknown.
    """
    # mimetypes takes URLs, and reads any type at all out of a "data:" one.
    content_type, encoding = mimetypes.guess_type(_last_component(filename).replace(":", "_"))
    if encoding is not None:
        content_type = _COMPRESSED_TYPES.get(encoding)
    if content_type is not None and content_type.startswith("text/"):
        # Without one, browsers read what they show as windows-1252 (WHATWG Encoding, section 4.2).
        return f"{content_type}; charset=utf-8"
    return content_type or "application/octet-stream"


def _check_str(value: object) -> None:
    if not isinstance(value, str):
        raise TypeError(f"filename must be a str, got {type(value).__name__}")


def _last_component(filename: str) -> str:
    """What is left of the last part of a path of which anything is left; it may be empty."""
    *_, last = filename.rstrip(" ./\\").replace("\\", "/").rpartition("/")
    # What is cut off here would be cut off below, at a cost.
    return _safe_name(last if len(last) <= MAX_NAME_LENGTH else last[:1000] + last[-100:])


def _extension_of(content_type: str | None) -> str:
    media_type = (content_type or "").partition(";")[0].strip().lower()
    return mimetypes.guess_extension(media_type) or ""


@lru_cache
def _safe_name(name: str) -> str:
    """What is left of a name when it can do no harm; it may be empty."""
    if not (name.isascii() and name.isprintable()):
        name = _STRAY_JOINERS.sub("", "".join(map(_visible, name)))
    name = name.lstrip(" ").rstrip(" .")
    if _WINDOWS_DEVICES.match(name):
        name = "_" + name
    stem = _EXTENSION.sub("", name)
    extension = name[len(stem) :]
    room = MAX_NAME_BYTES - len(extension.encode())
    return (stem.encode()[:room].decode(errors="ignore") + extension).rstrip(" .")


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cs":
        return "_"
    return "" if category in _INVISIBLE_CATEGORIES and character not in _JOINERS else character


@lru_cache
def _plain(name: str) -> str:
    """The nearest name in ASCII that every client reads in the same way."""
    if name.isascii():
        return _NOT_PLAIN.sub("_", name)
    decomposed = unicodedata.normalize("NFKD", name)
    bases = (c for c in decomposed if unicodedata.category(c) not in {"Cf", "Me", "Mn"})
    return _NOT_PLAIN.sub("_", "".join(bases))
