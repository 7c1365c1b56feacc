"""What Prometheus is answered, by the views and applications of the adapters."""

import pytest

pytest.register_assert_rewrite("scraping.suite")
