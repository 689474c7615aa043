"""What all tests share: how many examples Hypothesis tries, and what signals do."""

import os
import signal

import pytest
from hypothesis import HealthCheck, Phase, settings

# Deadlines measure the machine, not the code; a failing example is printed so that it can be pinned.
# By default a test tries the same examples each time, so that what passes is a matter of the change alone;
# `make explore` looks for others.
settings.register_profile(
    "default",
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=True,
)
settings.register_profile("quick", settings.get_profile("default"), max_examples=20)
settings.register_profile("explore", settings.get_profile("default"), derandomize=False)
settings.register_profile("thorough", settings.get_profile("explore"), max_examples=2_000)
# One failing example is enough to tell that a test notices: `make mutants` does not look for the smallest.
settings.register_profile("mutants", settings.get_profile("default"), phases=(Phase.explicit, Phase.generate))
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

# A suite that is started in the background may have to ignore these, and so would the commands it starts.
for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty directory, in which the code of a page runs, and a terminal of 120 columns."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    return tmp_path


@pytest.fixture
def same_level_after():
    """The SIMD level as it was, whatever a test asks with."""
    from imeiset._native import simd

    level = simd.simd_level()
    yield
    simd.use_simd(level)
