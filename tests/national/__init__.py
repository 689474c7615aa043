"""A store of several sources against a model of it in plain Python."""

import pytest

pytest.register_assert_rewrite(f"{__name__}.driving")
