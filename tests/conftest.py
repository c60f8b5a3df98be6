"""For all tests: shapes and types are checked at run time, torch keeps to one thread, real data is optional."""

from __future__ import annotations

import os
from pathlib import Path

from jaxtyping import install_import_hook

# Before anything imports groundup: from here on a wrong shape or type is an error in every function of the package.
install_import_hook("groundup", "runtime_types.check")

import pytest  # noqa: E402
import torch  # noqa: E402
from hypothesis import settings  # noqa: E402

# Bits depend on the number of threads, and models this small lose time with more than one.
torch.set_num_threads(1)

# The same examples on every machine, however slow it is: a test that fails, fails for everybody.
settings.register_profile("groundup", derandomize=True, deadline=None, database=None, max_examples=60)
settings.load_profile("groundup")


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real data that the environment variable GROUNDUP_DATA names; without it the test is skipped."""
    named = os.environ.get("GROUNDUP_DATA", "")
    if not named:
        pytest.skip("needs real data: set GROUNDUP_DATA to the folder that holds it")
    folder = Path(named).expanduser()
    if not folder.is_dir():
        pytest.fail(f"GROUNDUP_DATA: no such folder, got {named!r}")
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked `gpu` are skipped, with the reason, where there is no CUDA device."""
    if torch.cuda.is_available():
        return
    for item in items:
        if "gpu" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
