"""docs/servers.md says with which versions all this is observed."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONSTRAINTS = (ROOT / "tests/constraints.txt").read_text()
PINNED = dict(re.findall(r"^([\w-]+)==([\d.]*\d)", CONSTRAINTS, re.M))
DOCUMENTED = re.findall(
    r"^\| (\w+)[^|]*\|[^|]*\| ([\d.]+)(?:.* with (gevent) ([\d.]+))?",
    (ROOT / "docs/servers.md").read_text(),
    re.M,
)


def test_versions() -> None:
    assert len(DOCUMENTED) == 13
    for server, version, other, other_version in DOCUMENTED:
        # uWSGI's own packaging needs a compiler.
        assert PINNED["pyuwsgi" if server == "uWSGI" else server.lower()] == version
        assert not other or PINNED[other] == other_version
