from __future__ import annotations

import pytest

from sanderling.recipes.named import named
from sanderling.studies.ablation import plan_ablation
from sanderling.studies.plan import plan_plain, plan_table

LADDER = ["resnet-dcn", "iou-loss", "matrix-nms", "double-schedule"]


def test_steps_what_each_changes_and_what_all_of_it_takes() -> None:
    ablation = plan_ablation(named("ppyolo-small"), LADDER, mode="ladder", seeds=3, minutes=2.5)
    plain = plan_plain(ablation)
    assert [step["trainings"] for step in plain["steps"]] == [3, 3, 3, 0, 3]
    assert [step["minutes_each"] for step in plain["steps"]] == [2.5, 2.5, 2.5, None, 5]
    assert (plain["trainings"], plain["minutes"]) == (12, 3 * (2.5 + 2.5 + 2.5 + 5))
    assert [step["changes"] for step in plain["steps"]] == [
        {},
        {"model.backbone.kind": "resnet"},
        {"task.objective.iou": "iou_squared", "task.objective.iou_weight": 2.5},
        {"model.postprocess.suppression.kind": "matrix"},
        {"loop.epochs": 60},
    ]
    table = plan_table(ablation)
    assert [row[3] for row in table.rows] == [3, 3, 3, "weights of iou-loss", 3]
    assert table.rows[2][2] == 'task.objective.iou="iou_squared", task.objective.iou_weight=2.5'
    assert "12 trainings, about 38 minutes" in table.note


@pytest.mark.parametrize("mode", ["ladder", "single"])
def test_without_minutes_no_time_is_promised(mode: str) -> None:
    ablation = plan_ablation(named("ppyolo-small"), ["mixup", "spp"], mode=mode, seeds=1)
    assert plan_plain(ablation)["minutes"] is None
    assert plan_plain(ablation)["steps"][2]["changes"] == {"model.neck.pyramid_pool": True}
    assert "--minutes" in plan_table(ablation).note
