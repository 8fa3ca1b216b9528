from __future__ import annotations

import json
from pathlib import Path

import pytest

from sanderling.commands.demo import demo
from sanderling.errors import UsageError


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(UsageError, match="holds files already"):
        demo(output=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.slow
def test_the_whole_path_ends_with_one_page(tmp_path: Path) -> None:
    outcome = demo(output=tmp_path / "demo", train_scenes=8, val_scenes=4, epochs=1)
    plain = json.loads(json.dumps(outcome.to_plain(), allow_nan=False))
    assert outcome.report_page == tmp_path / "demo" / "report.html"
    assert plain["training"]["epochs"] == 1
    assert plain["report"]["counts"]["pictures"] == 4
    assert Path(plain["artefact"]).is_file()
    page = outcome.report_page.read_text()
    assert page.count("data:image/jpeg;base64,") >= 4
    assert "AP50" in page
    for address in ("http://", "https://", 'src="/'):
        assert address not in page, "the page stands alone"
