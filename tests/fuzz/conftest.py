"""The helpers' assertions say what they compared."""

import pytest

pytest.register_assert_rewrite("tests.fuzz.targets", "tests.fuzz.wellformed")
