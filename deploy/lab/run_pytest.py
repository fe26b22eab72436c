"""`python -m deploy.lab.run_pytest`: pytest in a guest, all of it in large pieces of memory."""

from deploy.lab import memory

# isort: split
import sys

import pytest


class _Loaded:
    def pytest_collection_finish(self) -> None:
        memory.everything_is_loaded()


if __name__ == "__main__":
    sys.exit(pytest.main(plugins=[_Loaded()]))
