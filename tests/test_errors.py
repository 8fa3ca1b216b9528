from __future__ import annotations

import pytest

from sanderling import errors


def test_exit_codes_are_those_that_scripts_rely_on() -> None:
    codes = {
        errors.UsageError: 2,
        errors.DataError: 3,
        errors.ModelError: 4,
        errors.ExportError: 5,
        errors.RunError: 6,
        errors.MissingDependencyError: 7,
    }
    assert {kind: kind.exit_code for kind in codes} == codes
    assert set(errors.SanderlingError.__subclasses__()) == set(codes)


def test_every_error_is_caught_as_one() -> None:
    with pytest.raises(errors.SanderlingError, match="no such picture"):
        raise errors.DataError("a.jpg: no such picture")


def test_a_missing_package_names_the_line_that_installs_it() -> None:
    error = errors.MissingDependencyError.for_extra("av", extra="video", purpose="reading videos")
    assert (
        str(error)
        == "reading videos needs the package 'av', which is not installed; run: pip install 'sanderling[video]'"
    )


@pytest.mark.parametrize(
    ("name", "choices", "hint"),
    [
        ("epoch", ["epochs", "batch"], "did you mean 'epochs'?"),
        ("zzz", ["epochs", "batch"], "known: batch, epochs"),
        ("a", iter(["b", "a"]), "did you mean 'a'?"),
        ("a", [], "known: "),
    ],
)
def test_nearest(name: str, choices: list[str], hint: str) -> None:
    assert errors.nearest(name, choices) == hint
