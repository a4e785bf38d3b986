"""If these fail, `--strategy` means something else in one command than in another, or a typo gives a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from flashbench import UsageError, catalogue


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text('class Mine:\n    name = "own"\n    summary: str = "my own"\n\nclass Other:\n    name = "other"\n')
    return path


def test_a_file_and_class_become_an_absolute_plugin_with_its_declared_name(mine: Path) -> None:
    found = catalogue.contender("mine.py:Mine", base=mine.parent)

    assert found == catalogue.Contender("own", "my own", f"{mine}:Mine")
    assert not found.control


def test_a_file_that_does_not_parse_is_left_for_the_app_to_refuse(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("class Mine(:\n")

    found = catalogue.contender("broken.py:Mine", base=tmp_path)

    assert (found.name, found.plugin) == ("Mine", f"{tmp_path / 'broken.py'}:Mine")


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("row_lok", "the nearest is 'row_lock'"),
        ("zzz", "there is "),
        ("absent.py:Mine", "there is no strategy file 'absent.py'"),
        ("mine.py", "names no class"),
        ("mine.py:not a class", "names no class"),
    ],
)
def test_a_word_that_means_nothing_is_refused_with_the_way_out(word: str, sentence: str, mine: Path) -> None:
    with pytest.raises(UsageError, match=sentence):
        catalogue.contender(word, base=mine.parent)


def test_a_control_is_known_by_name_and_knows_what_it_breaks(tmp_path: Path) -> None:
    folder = tmp_path / "careless"
    folder.mkdir()
    (folder / "control.toml").write_text(
        'class = "Careless"\nbreaks = "I1"\nexposed_by = "crowd"\nsummary = "no lock at all"\n'
    )

    (control,) = catalogue.controls(tmp_path)

    assert control.control
    assert (control.name, control.breaks, control.plugin) == ("careless", "I1", f"{folder / 'strategy.py'}:Careless")
