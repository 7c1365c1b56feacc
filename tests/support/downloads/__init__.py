"""What a download answers: one table, for every adapter and every form of source."""

import pytest

pytest.register_assert_rewrite("downloads.suite")
