"""The test kit on the apps and the responses of the frameworks."""

import pytest

pytest.register_assert_rewrite("kit.suite")
