"""What the middleware lets in, and what a live stream is told and tells, in every adapter."""

import pytest

pytest.register_assert_rewrite("limits.channels", "limits.suite")
