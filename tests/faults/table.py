"""The table of faults, and every cell that is played."""

from __future__ import annotations

from dataclasses import dataclass

from tests.faults.fault import Column, Fault, columns
from tests.faults.others import OTHERS
from tests.faults.sixteen import SIXTEEN

FAULTS = (*SIXTEEN, *OTHERS)
COLUMNS = columns()


@dataclass(frozen=True, slots=True, repr=False)
class Cell:
    """One fault at one door."""

    fault: Fault
    column: Column

    def __str__(self) -> str:
        return f"{self.fault}: {self.column}"

    __repr__ = __str__


CELLS = tuple(Cell(fault, column) for fault in FAULTS for column in COLUMNS)
