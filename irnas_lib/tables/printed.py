"""The 125 numbers that the paper prints, from printed.csv: Tables 1 to 6 and seven claims of the text."""

import csv
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).with_name("printed.csv")


class Printed(NamedTuple):
    """One printed number; every field is text, empty where it does not apply.

    where: "1" to "6" for a table, else "claim". system: as the paper prints it, misprints mended. sigma:
    noise level on the scale of 255. metric: PSNR, SSIM, parameters, time, or the name of a claim. value: as
    printed, zeros kept. unit: dB, M (of 2^20 parameters), s, h, % or x. protocol: the one that the number
    agrees with, where that is known. note: slips, and where a number comes from; "; " between the parts.
    """

    id: str
    where: str
    task: str
    system: str
    sigma: str
    metric: str
    value: str
    unit: str
    protocol: str
    note: str

    @property
    def number(self) -> float:
        """The value in `unit`; "1/3" is a third."""
        return float(Fraction(self.value))


def load() -> list[Printed]:
    """All printed numbers, in the order of the paper."""
    with open(FILE, newline="", encoding="utf-8") as file:
        return [Printed(**row) for row in csv.DictReader(file)]
