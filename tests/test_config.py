from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from sanderling import config
from sanderling.errors import UsageError
from sanderling.structures.artefact import Artefact, PictureRule, PostprocessRule


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Sgd:
    kind: Literal["sgd"] = "sgd"
    lr: Annotated[float, Field(gt=0)] = 0.1
    """Learning rate of the first
    group."""
    momentum: float = 0.9


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class AdamW:
    kind: Literal["adamw"] = "adamw"
    lr: float = 0.001
    betas: tuple[float, float] = (0.9, 0.999)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Ema:
    decay: float = 0.999
    warm: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    width: int
    depth: int = 1


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    name: str = "run"
    """What the folder is called."""
    epochs: int = 10
    size_hw: tuple[int, int] = (320, 320)
    resize: Literal["letterbox", "stretch"] = "letterbox"
    patience: int | None = None
    optimizer: Sgd | AdamW = dataclasses.field(default_factory=Sgd)
    ema: Ema | None = None
    blocks: tuple[Block, ...] = ()
    named: dict[str, Block] = dataclasses.field(default_factory=dict)
    pair: Annotated[tuple[Ema, Block] | None, Field()] = None


FULL = Run(
    name="no",
    size_hw=(256, 416),
    patience=3,
    optimizer=AdamW(lr=1e-3),
    ema=Ema(decay=0.99, warm=False),
    blocks=(Block(width=8), Block(width=16, depth=2)),
    named={"stem": Block(width=4)},
    pair=(Ema(), Block(width=1)),
)


class TestParse:
    def test_defaults_where_nothing_is_said(self) -> None:
        assert config.parse(Run, {}) == Run()

    def test_a_union_is_told_apart_by_its_kind(self) -> None:
        parsed = config.parse(Run, {"optimizer": {"kind": "adamw", "betas": [0.8, 0.9]}})
        assert parsed.optimizer == AdamW(betas=(0.8, 0.9))

    @pytest.mark.parametrize(
        ("plain", "words"),
        [
            ({"epoch": 3}, "f.yaml: unknown key 'epoch'; did you mean 'epochs'?"),
            ({"optimizer": {"kind": "sgd", "lrr": 3}}, "f.yaml: unknown key 'optimizer.lrr'; did you mean 'lr'?"),
            (
                {"optimizer": {"kind": "sgd", "betas": [0.1, 0.2]}},
                "unknown key 'optimizer.betas'; known: kind, lr, mom",
            ),
            ({"optimizer": {"kind": "adam"}}, "optimizer.kind = 'adam' is not a known kind; did you mean 'adamw'?"),
            ({"optimizer": {"lr": 1}}, "optimizer.kind is missing; known: adamw, sgd"),
            ({"optimizer": {"kind": None}}, "optimizer.kind = None is not a known kind"),
            (
                {"blocks": [{"width": 1}, {"width": 1, "depht": 2}]},
                "unknown key 'blocks.1.depht'; did you mean 'depth'?",
            ),
            ({"named": {"a": {"widht": 1}}}, "unknown key 'named.a.widht'; did you mean 'width'?"),
            ({"pair": [{"decay": 1}, {"width": 1, "x": 1}]}, "unknown key 'pair.1.x'"),
            ({"ema": {"decai": 1}}, "unknown key 'ema.decai'; did you mean 'decay'?"),
        ],
    )
    def test_unknown_keys_are_refused_with_the_nearest(self, plain: Any, words: str) -> None:
        with pytest.raises(UsageError, match=re.escape(words)):
            config.parse(Run, plain, source="f.yaml")

    @pytest.mark.parametrize(
        ("plain", "words"),
        [
            ({"epochs": "many"}, "f.yaml: epochs = 'many': Input should be a valid integer"),
            ({"epochs": 1.5}, "epochs = 1.5: Input should be a valid integer"),
            ({"patience": "x"}, "patience = 'x': Input should be a valid integer"),
            ({"resize": "crop"}, "resize = 'crop': Input should be 'letterbox' or 'stretch'"),
            ({"size_hw": [1, 2, 3]}, "size_hw = [1, 2, 3]:"),
            ({"size_hw": [1, "b"]}, "size_hw.1 = 'b': Input should be a valid integer"),
            ({"blocks": [{"depth": 1}]}, "blocks.0.width = None: is missing and has no default"),
            ({"optimizer": {"kind": "sgd", "lr": -1}}, "optimizer.lr = -1: Input should be greater than 0"),
            ({"optimizer": {"kind": "adamw", "lr": "x"}}, "optimizer.lr = 'x': Input should be a valid number"),
            ({"optimizer": {"kind": "adamw", "betas": [1]}}, "optimizer.betas.1 = None: is missing and has no default"),
            ({"optimizer": 3}, "optimizer = 3:"),
            (None, "f.yaml: None: Input should be a dictionary"),
            ([1], "f.yaml: [1]: Input should be a dictionary"),
        ],
    )
    def test_a_value_that_does_not_fit_is_named_as_the_user_wrote_it(self, plain: Any, words: str) -> None:
        with pytest.raises(UsageError, match=re.escape(words)):
            config.parse(Run, plain, source="f.yaml")

    def test_the_configs_of_the_package_refuse_values_out_of_range(self) -> None:
        with pytest.raises(UsageError, match=r"size_hw\.0 = 0: Input should be greater than 0"):
            config.parse(PictureRule, {"size_hw": [0, 320]})
        with pytest.raises(UsageError, match=r"iou = 1\.5: Input should be less than or equal to 1"):
            config.parse(PostprocessRule, {"iou": 1.5})


class TestPlainAndYaml:
    def test_plain_values_only(self) -> None:
        plain = config.plain(FULL)
        assert plain["size_hw"] == [256, 416]
        assert plain["optimizer"] == {"kind": "adamw", "lr": 0.001, "betas": [0.9, 0.999]}
        assert plain["named"] == {"stem": {"width": 4, "depth": 1}}
        assert config.plain(Path("a/b")) == "a/b"

    @pytest.mark.parametrize("run", [Run(), FULL])
    def test_dumped_and_loaded_unchanged(self, run: Run, tmp_path: Path) -> None:
        path = tmp_path / "run.yaml"
        path.write_text(config.dump(run))
        assert config.load(Run, path) == run

    @settings(max_examples=40, deadline=None)
    @given(
        name=st.text(
            st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufeff\ufffe\uffff"), max_size=12
        )
        | st.sampled_from(
            ["no", "1e-3", "null", "~", "2024-01-01", "0x1F", "012", "1_000", "12:30", " a", "a: b", "#", ""]
        ),
        lr=st.floats(min_value=1e-300, allow_infinity=False, allow_nan=False),
        epochs=st.integers(-(10**15), 10**15),
        patience=st.none() | st.integers(0, 9),
    )
    def test_any_value_survives(self, name: str, lr: float, epochs: int, patience: int | None) -> None:
        run = Run(name=name, epochs=epochs, patience=patience, optimizer=Sgd(lr=lr))
        assert config.parse(Run, config.load_yaml(config.dump(run), source="dump")) == run

    def test_keys_keep_their_order(self) -> None:
        keys = re.findall(r"^\w+", config.dump(FULL), flags=re.MULTILINE)
        assert keys == [field.name for field in dataclasses.fields(Run)]

    def test_the_artefacts_sidecar_survives(self) -> None:
        artefact = Artefact(model="m", class_names=("fire", "no"), picture=PictureRule(), postprocess=PostprocessRule())
        assert config.parse(Artefact, config.load_yaml(config.dump(artefact), source="dump")) == artefact

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("no", "no"),
            ("yes", "yes"),
            ("on", "on"),
            ("1e-3", 0.001),
            ("1.e-3", 0.001),
            (".5", 0.5),
            ("010", 10),
            ("0o10", 8),
            ("0x10", 16),
            ("true", True),
            ("~", None),
            ("null", None),
            ("", None),
            ("&x 3\nb: *x", 3),
            ("12:30:45", "12:30:45"),
            ("2024-01-01", "2024-01-01"),
            ("2024-13-45", "2024-13-45"),
            ("[320, 416]", [320, 416]),
            ("'1'", "1"),
        ],
    )
    def test_yaml_1_2(self, text: str, value: object) -> None:
        read = config.load_yaml(f"a: {text}", source="f.yaml")["a"]
        assert read == value
        assert type(read) is type(value)

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("a: 1\nb: 2\na: 3", r"f\.yaml: not readable as YAML: .*duplicate key \"a\".*\(line 3\)"),
            ("a: {b: 1, b: 2}", "duplicate key"),
            ("a: [1, 2", r"\(line 1\)"),
            ("a: 'x", "quoted scalar"),
            ("a: !!python/object:os.system x", "could not determine a constructor"),
            ("a: 1\n--- \nb: 2", "expected a single document"),
            ("a: \x01", "special characters are not allowed"),
            ("a: &x [1, 2]\nb: [*x, *x]", r"the alias of 'x' repeats a list or mapping; write it out \(line 1\)"),
            ("a: &x {b: 1}\nc:\n  <<: *x", "the alias of 'x' repeats"),
            ("a: !!int x", "invalid literal"),
            ("a: " + "9" * 6000, "put quotes around it"),
            ("a: " + "[" * 500 + "]" * 500, "recursion"),
        ],
    )
    def test_what_is_no_yaml_is_one_clear_error(self, text: str, words: str) -> None:
        with pytest.raises(UsageError, match=words) as raised:
            config.load_yaml(text, source="f.yaml")
        assert "\n" not in str(raised.value)

    def test_load_names_the_file(self, tmp_path: Path) -> None:
        path = tmp_path / "run.yaml"
        with pytest.raises(UsageError, match=r"run\.yaml: cannot be read: No such file"):
            config.load(Run, path)
        path.write_bytes(b"\xff\xfe\x00")
        with pytest.raises(UsageError, match=r"run\.yaml: is not UTF-8 text"):
            config.load(Run, path)
        path.write_text("epochz: 1")
        with pytest.raises(UsageError, match=r"run\.yaml: unknown key 'epochz'; did you mean 'epochs'\?"):
            config.load(Run, path)
        with pytest.raises(UsageError, match="cannot be read"):
            config.load(Run, tmp_path)

    def test_a_byte_order_mark_does_no_harm(self, tmp_path: Path) -> None:
        path = tmp_path / "run.yaml"
        path.write_bytes(b"\xef\xbb\xbfepochs: 4\r\n")
        assert config.load(Run, path).epochs == 4


class TestOverride:
    @pytest.mark.parametrize(
        ("assignments", "expected"),
        [
            ([], Run()),
            (["epochs=3"], Run(epochs=3)),
            (["name=no"], Run(name="no")),
            (["name=a=b"], Run(name="a=b")),
            (["size_hw=[256, 416]"], Run(size_hw=(256, 416))),
            (["optimizer.lr=1e-3"], Run(optimizer=Sgd(lr=0.001))),
            (["patience=5"], Run(patience=5)),
            (["patience=5", "patience=null"], Run()),
            (["ema.decay=0.5"], Run(ema=Ema(decay=0.5))),
            (["ema={}"], Run(ema=Ema())),
            (["blocks=[{width: 3}]"], Run(blocks=(Block(width=3),))),
            (["named.a.width=3"], Run(named={"a": Block(width=3)})),
            (["optimizer.kind=sgd", "optimizer.momentum=0.5"], Run(optimizer=Sgd(momentum=0.5))),
        ],
    )
    def test_values_are_read_as_yaml(self, assignments: list[str], expected: Run) -> None:
        assert config.override(Run(), assignments) == expected

    @pytest.mark.parametrize("order", [1, -1])
    def test_another_kind_starts_afresh_whatever_the_order(self, order: int) -> None:
        changed = config.override(FULL, ["optimizer.kind=sgd", "optimizer.momentum=0.5"][::order])
        assert changed == dataclasses.replace(FULL, optimizer=Sgd(momentum=0.5))

    def test_the_same_kind_keeps_the_rest(self) -> None:
        start = Run(optimizer=AdamW(lr=3.0))
        assert config.override(start, ["optimizer.kind=adamw", "optimizer.betas=[0, 0.5]"]) == Run(
            optimizer=AdamW(lr=3.0, betas=(0, 0.5))
        )

    def test_the_original_stays_as_it_was(self) -> None:
        start = Run(named={"a": Block(width=1)})
        config.override(start, ["named.b.width=2"])
        assert start.named == {"a": Block(width=1)}

    @pytest.mark.parametrize(
        ("assignment", "words"),
        [
            ("epochs", "--set 'epochs': expected key=value"),
            ("=3", "expected key=value"),
            (" =3", "expected key=value"),
            ("epochz=3", "--set: unknown key 'epochz'; did you mean 'epochs'?"),
            ("optimiser.lr=3", "--set: unknown key 'optimiser'; did you mean 'optimizer'?"),
            ("optimizer.kind=adam", "optimizer.kind = 'adam' is not a known kind; did you mean 'adamw'?"),
            ("optimizer.lr=fast", "optimizer.lr = 'fast': Input should be a valid number"),
            ("epochs.x=1", "--set 'epochs.x=1': 'epochs' has no parts; set it as a whole: epochs=VALUE"),
            ("blocks.0.width=1", "'blocks' has no parts; set it as a whole: blocks=VALUE"),
            ("epochs=[1", "--set epochs=[1: not readable as YAML"),
            ("epochs=", "epochs = None: Input should be a valid integer"),
        ],
    )
    def test_what_does_not_fit(self, assignment: str, words: str) -> None:
        start = dataclasses.replace(Run(), blocks=(Block(width=1),))
        with pytest.raises(UsageError, match=re.escape(words)):
            config.override(start, [assignment])


def test_values_become_assignments_that_set_them() -> None:
    wanted = {"name": "no: 1e-3 # 'x'", "size_hw": (64, 96), "optimizer.lr": 0.5, "patience": None}
    run = config.override(dataclasses.replace(Run(), patience=3), config.assigned(wanted))
    assert (run.name, run.size_hw, run.optimizer.lr, run.patience) == ("no: 1e-3 # 'x'", (64, 96), 0.5, 3)


def test_differences_of_nested_values() -> None:
    plain = config.plain(Run())
    assert list(config.differences(plain, plain)) == []
    assert list(config.differences({"ema": None}, {"ema": {"decay": 0.9}})) == [("ema", None, {"decay": 0.9})]
    assert list(config.differences({"a": {"b": 1}}, {"a": {"c": 2}})) == [("a.b", 1, None), ("a.c", None, 2)]


def test_explain_lists_every_setting_in_order_with_type_default_and_meaning() -> None:
    settings = {setting.key: setting for setting in config.explain(Run)}
    assert list(settings)[:4] == ["name", "epochs", "size_hw", "resize"]
    assert settings["name"].meaning == "What the folder is called."
    assert settings["name"].default == "'run'"
    assert settings["epochs"].type == "int"
    assert settings["size_hw"].default == "[320, 320]"
    assert settings["patience"].type == "int | None"
    assert settings["optimizer[sgd].lr"].default == "0.1"
    assert settings["optimizer[sgd].lr"].meaning == "Learning rate of the first group."
    assert settings["optimizer[adamw].betas"].default == "[0.9, 0.999]"
    assert settings["ema.decay"].default == "0.999"
    assert settings["named"].default == "{}"


def test_explain_says_what_is_required() -> None:
    assert [(setting.key, setting.default) for setting in config.explain(Block)] == [
        ("width", "required"),
        ("depth", "1"),
    ]
