from __future__ import annotations

import pytest

from sanderling.commands.progress import progress_bar


def test_nothing_is_drawn_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("detecting") as progress:
        assert progress is None
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_a_bar_on_standard_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with progress_bar("detecting") as progress:
        assert progress is not None
        progress(3, 12)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "detecting" in printed.err
    assert "3/12" in printed.err
