"""What resumable answers promise, wherever they are kept."""

import pytest

pytest.register_assert_rewrite("answers.suite")
