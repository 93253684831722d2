from elsewhere import pytest_pycollect_makemodule  # noqa: F401  # a hook of pytest
