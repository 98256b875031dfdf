"""The votes on blind pairs: read, checked and counted, with the exact binomial interval of the preference.

Clopper & Pearson 1934, "The use of confidence or fiducial limits illustrated in the case of the binomial".
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien.errors import InputError, shown
from mien.files import parse_json, read_text

KEY, VOTES = ".key.json", "votes.csv"
LEVEL = 0.95
_HEAD = ["pair", "vote"]


def empty_votes(pairs: Iterable[str]) -> str:
    """The text of a file of votes to be filled in."""
    return "\n".join([",".join(_HEAD), *(f"{pair}," for pair in pairs)]) + "\n"


def vote_files(folder: Path) -> list[Path]:
    """The files of votes in a folder: one for each voter, `votes.csv`, `votes-anna.csv`, ..."""
    return sorted(folder.glob(f"{Path(VOTES).stem}*.csv"))


def has_votes(file: Path) -> bool:
    """Whether anything is filled in."""
    return any(vote for _, _, vote in _lines(file))


def _lines(file: Path) -> Iterator[tuple[int, str, str]]:
    """Number of the line, pair and vote of each line; tables of some languages put semicolons."""
    text = read_text(file)
    try:
        rows = list(csv.reader(text.replace(";", ",").splitlines()))
    except csv.Error as error:
        raise InputError(f"{file} is not readable as CSV ({shown(error)}): save it as CSV.") from error
    for number, row in enumerate(rows, start=1):
        cells = [cell.strip() for cell in row]
        if any(cells) and [cell.lower() for cell in cells[:2]] != _HEAD:
            yield number, cells[0], cells[1].upper() if len(cells) > 1 else ""


def _votes(file: Path, pairs: Mapping[str, object]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line, pair, vote in _lines(file):
        where = f"{file}, line {line}"
        if pair not in pairs:
            raise InputError(f"{where}: there is no pair '{pair}', they are numbered from 1 to {len(pairs)}.")
        if vote not in ("A", "B", "=", ""):
            raise InputError(f"{where}: a vote is A, B, = for neither, or nothing, got '{vote}'.")
        if vote and found.setdefault(pair, vote) != vote:
            raise InputError(f"{where}: pair {pair} has another vote above: leave one.")
    return found


@dataclass(frozen=True)
class Preference:
    """How often the first of two methods was preferred."""

    methods: tuple[str, str]
    wins: int
    """Votes for the first."""
    losses: int
    """Votes for the second."""
    ties: int
    """Votes for neither; they do not count."""
    open: int
    """Pairs without a vote, summed over the voters."""
    left: int
    """Votes for A, whichever method it was: far from half of all, the voters favor a side."""
    voters: int
    """Files with votes in them."""

    @property
    def share(self) -> float:
        """Share of the votes that are for the first method, without ties."""
        return self.wins / (self.wins + self.losses)

    def document(self) -> dict[str, Any]:
        """Everything as plain values: also the interval, and the p-value of no preference."""
        return {
            "methods": list(self.methods), "wins": self.wins, "losses": self.losses, "ties": self.ties, "open": self.open,
            "left": self.left, "voters": self.voters, "share": self.share, "level": LEVEL,
            "interval": list(binomial_interval(self.wins, self.wins + self.losses)), "p": sign_test(self.wins, self.losses),
        }  # fmt: skip

    def lines(self) -> list[str]:
        """What came out, for people."""
        (first, second), total, found = self.methods, self.wins + self.losses, self.document()
        low, high = found["interval"]
        lines = [
            f"{first} was preferred to {second} in {self.wins} of {total} votes: {self.share:.0%}, {LEVEL:.0%} interval "
            f"{low:.0%} to {high:.0%}; p = {found['p']:.2g} if there is no preference",
            f"ties {self.ties}, without a vote {self.open}, voters {self.voters}; A was chosen {self.left} times of {total}",
        ]
        if self.voters > 1:
            lines.append("the interval takes votes for independent: several voters on the same photos are less so")
        return lines


def count_votes(folder: Path) -> Preference:
    """Count the votes in all `votes*.csv` of a study: A, B, or = for neither; empty for none.

    Raises `InputError` for a folder without a study, and for a vote that is not understood.
    """
    try:
        if not (folder / KEY).exists():
            raise InputError(f"{folder} holds no {KEY}: give a folder that `mien blind` wrote, with its hidden file.")
        key: Any = parse_json(read_text(folder / KEY), folder / KEY)
        first, second = (str(name) for name in key["methods"])
        pairs = {str(number): {side: str(pair[side]) for side in "AB"} for number, pair in key["pairs"].items()}
        if any(set(pair.values()) != {first, second} for pair in pairs.values()):
            raise ValueError("a pair of other methods")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{folder / KEY} is damaged ({shown(error)}): without it nobody knows which side is whose.") from error
    every = [votes for file in vote_files(folder) if (votes := _votes(file, pairs))]
    choices = Counter(vote for votes in every for vote in votes.values())
    chosen = Counter(pairs[pair][vote] for votes in every for pair, vote in votes.items() if vote != "=")
    if not chosen:
        raise InputError(f"There are no votes in {folder} yet: write A, B or = behind the numbers in {VOTES}.")
    left_open = sum(len(pairs) - len(votes) for votes in every)
    return Preference((first, second), chosen[first], chosen[second], choices["="], left_open, choices["A"], len(every))


def _at_most(wins: int, total: int, chance: float) -> float:
    """Probability of at most `wins` in `total`."""
    if chance <= 0 or wins >= total:
        return 1.0
    if chance >= 1:
        return 0.0
    logs = (
        math.lgamma(total + 1) - math.lgamma(k + 1) - math.lgamma(total - k + 1)
        + k * math.log(chance) + (total - k) * math.log1p(-chance)
        for k in range(wins + 1)
    )  # fmt: skip
    return min(1.0, math.fsum(map(math.exp, logs)))


def binomial_interval(wins: int, total: int, level: float = LEVEL) -> tuple[float, float]:
    """The exact two-sided confidence interval of a probability after `wins` in `total` (Clopper & Pearson)."""
    if not 0 <= wins <= total or total < 1:
        raise ValueError(f"wins must be from 0 to total and total at least 1, got {wins} of {total}")

    def upper(count: int) -> float:
        """Largest chance at which at most `count` would not be a surprise."""
        low, high = 0.0, 1.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if _at_most(count, total, middle) > (1 - level) / 2 else (low, middle)
        return high

    return (0.0 if wins == 0 else 1 - upper(total - wins)), (1.0 if wins == total else upper(wins))


def sign_test(wins: int, losses: int) -> float:
    """Two-sided p-value: how likely so uneven a count is when both are equally good."""
    return min(1.0, 2 * _at_most(min(wins, losses), wins + losses, 0.5))
