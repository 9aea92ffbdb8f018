"""Packages of the extras."""

import sys

import pytest

from rnncli.errors import RnncliError
from rnncli.extras import require


def test_what_is_installed_is_imported():
    assert require("json.decoder", extra="report", purpose="pictures").JSONDecodeError


def test_what_is_missing_says_what_to_type():
    with pytest.raises(RnncliError) as caught:
        require("no_such_package.part", extra="report", purpose="pictures")
    assert str(caught.value) == (
        "no_such_package: is needed for pictures and is not installed. Type: pip install 'rnncli[report]'"
    )


def test_a_package_that_is_broken_is_not_called_missing(tmp_path, monkeypatch):
    (tmp_path / "broken_package.py").write_text("import what_it_needs\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RnncliError, match=r"cannot be imported \(No module named 'what_it_needs'\)"):
        require("broken_package", extra="report", purpose="pictures")
    assert "broken_package" not in sys.modules
