"""Blind pairs: what the sheets show, that nothing tells who is who, and the count of the votes."""

import json
from math import comb
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.cli.app import shell
from mien.errors import InputError
from mien.evaluation.config import BlindConfig
from mien.evaluation.preference_study import lay_out_study
from mien.evaluation.votes import binomial_interval, count_votes, sign_test

_GREYS = {"ours": 60, "theirs": 190}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Eight photos, each of another color, and two methods that paint them over in one gray each."""
    for index in range(8):
        for folder, color in (("photos", (255, 30 * index, 0)), *((n, (g, g, g)) for n, g in _GREYS.items())):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.new("RGB", (40, 40), color).save(tmp_path / folder / f"p{index}.png")
    Image.new("RGB", (40, 40), (0, 0, 255)).save(tmp_path / "reference.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


_CONFIG = BlindConfig(seed=3, rows=3, aligned=True, reference_aligned=True)


def _study(
    desk: Path, name: str = "study", config: BlindConfig = _CONFIG, *, overwrite: bool = False
) -> dict[str, dict[str, str]]:
    made = lay_out_study(
        {"ours": desk / "ours", "theirs": desk / "theirs"}, sorted((desk / "photos").iterdir()), desk / name, config,
        reference=desk / "reference.png", overwrite=overwrite,
    )  # fmt: skip
    assert all(path.exists() for path in made.files)
    pairs: dict[str, dict[str, str]] = json.loads((desk / name / ".key.json").read_text(encoding="utf-8"))["pairs"]
    assert made.pairs == len(pairs)
    return pairs


def test_sheets_show_what_the_key_says(desk: Path) -> None:
    pairs = _study(desk)
    assert sorted(p.name for p in (desk / "study").iterdir()) == [
        ".key.json", "sheet-01.png", "sheet-02.png", "sheet-03.png", "votes.csv",
    ]  # fmt: skip
    assert sorted(pair["photo"] for pair in pairs.values()) == [f"p{i}.png" for i in range(8)]
    cell = 256 + 8
    for number, pair in pairs.items():
        page, line = divmod(int(number) - 1, 3)
        pixels = np.asarray(Image.open(desk / "study" / f"sheet-{page + 1:02}.png"))
        row = pixels[pixels.shape[0] - (3 if page < 2 else 2) * cell + line * cell + 100]
        reference, photo, a, b = (row[len(row) - (4 - column) * cell + 100].tolist() for column in range(4))
        assert reference == [0, 0, 255]
        assert photo == [255, 30 * int(pair["photo"][1]), 0]
        assert (a, b) == ([_GREYS[pair["A"]]] * 3, [_GREYS[pair["B"]]] * 3)
    assert (desk / "study" / "votes.csv").read_text() == "pair,vote\n" + "".join(f"{n},\n" for n in range(1, 9))


def test_the_shuffle_is_fair_and_follows_the_seed(desk: Path) -> None:
    pairs = _study(desk)
    assert sum(pair["A"] == "ours" for pair in pairs.values()) == 4
    assert {pair["A"] for pair in pairs.values()} == set(_GREYS)
    assert _study(desk, "again") == pairs
    assert (desk / "again" / "sheet-02.png").read_bytes() == (desk / "study" / "sheet-02.png").read_bytes()
    others = [_study(desk, f"other{seed}", BlindConfig(seed=seed, aligned=True, reference_aligned=True)) for seed in (4, 5)]
    assert all(other != pairs for other in others)
    assert [p["photo"] for p in pairs.values()] != sorted(p["photo"] for p in pairs.values())


def test_votes_are_never_thrown_away(desk: Path) -> None:
    _study(desk)
    with pytest.raises(InputError, match="`overwrite`"):
        _study(desk)
    _study(desk, config=BlindConfig(rows=8, aligned=True, reference_aligned=True), overwrite=True)
    assert not (desk / "study" / "sheet-02.png").exists()
    (desk / "study" / "votes-anna.csv").write_text("pair,vote\n1,A\n")
    with pytest.raises(InputError, match="There are votes in"):
        _study(desk, overwrite=True)
    assert (desk / "study" / "votes-anna.csv").exists()


def test_only_photos_that_both_have_are_shown(desk: Path) -> None:
    (desk / "ours" / "p0.png").unlink()
    (desk / "theirs" / "p1.png").unlink()
    assert sorted(pair["photo"] for pair in _study(desk).values()) == [f"p{i}.png" for i in range(2, 8)]
    for index in range(2, 8):
        (desk / "theirs" / f"p{index}.png").unlink()
    (desk / "ours" / "p1.png").unlink()
    (desk / "ours" / "p2.png").rename(desk / "ours" / "p1.png")
    (desk / "photos" / "p0.png").rename(desk / "photos" / "p9.png")
    (desk / "theirs" / "p0.png").rename(desk / "theirs" / "p9.png")
    with pytest.raises(InputError, match="no photo in common"):
        _study(desk, "none")


def test_votes_are_counted(desk: Path) -> None:
    pairs = _study(desk)
    folder = desk / "study"
    with pytest.raises(InputError, match="no votes"):
        count_votes(folder)
    side = {number: "A" if pair["A"] == "ours" else "B" for number, pair in pairs.items()}
    other = {"A": "B", "B": "A"}
    # Anna prefers ours six times, theirs once, and cannot decide once; her program writes semicolons and a mark.
    anna = [f"{n};{side[n]}" for n in "123456"] + [f"7;{other[side['7']].lower()}", "8; ="]
    (folder / "votes-anna.csv").write_text("\ufeffPair;Vote\n" + "\n".join(anna) + "\n", encoding="utf-8")
    found = count_votes(folder)
    assert (found.wins, found.losses, found.ties, found.open, found.voters) == (6, 1, 1, 0, 1)
    assert found.share == pytest.approx(6 / 7)
    assert found.left == sum(side[n] == "A" for n in "123456") + (side["7"] == "B")
    # Bert says little.
    (folder / "votes.csv").write_text(f"pair,vote\n1,{other[side['1']]}\n2,\n")
    both = count_votes(folder)
    assert (both.wins, both.losses, both.ties, both.open, both.voters) == (6, 2, 1, 7, 2)
    assert "6 of 8 votes: 75%" in both.lines()[0]
    assert "independent" in both.lines()[-1]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("pair,vote\n9,A\n", "line 2: there is no pair '9'"),
        ("pair,vote\n1,C\n", "a vote is A, B, ="),
        ("1,A\n1,B\n", "line 2: pair 1 has another vote above"),
        ("pair,vote\n", "no votes"),
    ],
)
def test_votes_that_are_not_understood(desk: Path, text: str, sentence: str) -> None:
    _study(desk)
    (desk / "study" / "votes.csv").write_text(text)
    with pytest.raises(InputError, match=sentence):
        count_votes(desk / "study")


def test_a_broken_key_is_told(desk: Path) -> None:
    with pytest.raises(InputError, match=r"no \.key\.json"):
        count_votes(desk / "photos")
    _study(desk)
    for text in ("{", "[]", '{"methods": ["a"], "pairs": {}}', '{"methods": ["a", "b"], "pairs": {"1": {"A": "a", "B": "c"}}}'):
        (desk / "study" / ".key.json").write_text(text)
        with pytest.raises(InputError, match="damaged"):
            count_votes(desk / "study")


def test_interval_and_test_are_exact() -> None:
    # Clopper & Pearson by its definition: at each end the tail has 2.5 %.
    for wins, total in ((1, 4), (7, 10), (30, 50), (160, 300)):
        low, high = binomial_interval(wins, total)
        tails = [
            sum(comb(total, k) * p**k * (1 - p) ** (total - k) for k in ks)
            for p, ks in ((low, range(wins, total + 1)), (high, range(wins + 1)))
        ]
        assert tails == pytest.approx([0.025, 0.025], rel=1e-9)
    assert binomial_interval(0, 10) == (0.0, pytest.approx(1 - 0.025**0.1))
    assert binomial_interval(10, 10) == (pytest.approx(0.025**0.1), 1.0)
    assert sign_test(9, 1) == pytest.approx(2 * 11 / 1024)
    assert sign_test(5, 5) == sign_test(0, 0) == 1.0
    with pytest.raises(ValueError, match="wins must be"):
        binomial_interval(3, 2)


def test_the_verb(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = (
        "blind ours theirs --photos photos --aligned --reference reference.png --reference-aligned --rows 8 --seed 3 -o study"
    )
    assert shell([*words.split(), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["pairs"] == 8
    assert {Path(w["out"]).name for w in told["written"]} == {"sheet-01.png", "votes.csv", ".key.json"}
    assert json.loads((desk / "study" / ".key.json").read_text())["methods"] == ["ours", "theirs"]
    assert shell(words.split()) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert shell([*words.split(), "--overwrite"]) == 0
    (desk / "study" / "votes.csv").write_text("pair,vote\n" + "".join(f"{n},A\n" for n in range(1, 9)))
    capsys.readouterr()
    assert shell(["blind", "--score", "study", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["preference"]
    assert (found["wins"], found["losses"], found["left"]) == (4, 4, 8)  # a voter who always takes the left one
    assert found["interval"] == list(binomial_interval(4, 8))
    assert shell(["blind", "--score", "study"]) == 0
    assert "ours was preferred to theirs in 4 of 8 votes: 50%" in capsys.readouterr().out


def test_the_verb_takes_names_and_ways_to_read(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = "blind a=ours b=theirs --photos photos --aligned --outputs-are crops -o study"
    assert shell(words.split()) == 0
    assert json.loads((desk / "study" / ".key.json").read_text())["methods"] == ["a", "b"]
    assert Image.open(desk / "study" / "sheet-01.png").width < 4 * 256  # no column for a reference
    capsys.readouterr()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("ours --photos photos -o x", "give two"),
        ("ours theirs", "needs two folders"),
        ("ours ours --photos photos -o x", "both called 'ours'"),
        ("ours theirs --photos photos --aligned -o photos/p0.png", "is a file"),
        ("ours theirs --photos photos/p0.png -o x", "No face was found"),
        ("ours theirs --photos photos --aligned --reference none.png -o x", "no file none.png"),
        ("ours --score study", "folder alone"),
        ("--score photos", "no .key.json"),
        ("ours theirs --photos photos --rows 0 -o x", "--rows"),
    ],
)
def test_refusals(desk: Path, capsys: pytest.CaptureFixture[str], words: str, sentence: str) -> None:
    assert shell(["blind", *words.split()]) == 2
    assert sentence in capsys.readouterr().err
    assert not (desk / "x").exists()
