"""All benchmarks: ``python -m benchmarks``. Prints tables; takes some twenty minutes."""

import os
import platform

from . import beside, delivery, exports, files, live, pipeline, resumable, tables, ways
from .measure import ROUNDS

if __name__ == "__main__":
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores ({platform.machine()}), "
        f"load {os.getloadavg()[0]:.1f}; each figure is the median of {ROUNDS} interleaved rounds"
    )
    beside.main()
    delivery.main()
    live.main()
    resumable.main()
    pipeline.main()
    ways.main()
    exports.main()
    tables.main()
    files.main()
