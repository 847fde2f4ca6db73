"""What is wrong with the stand-in at the moment: rules for the coming pushes, each with a count. Knows no HTTP."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self


class Cut(StrEnum):
    """When the connection of a push is cut."""

    BEFORE = "before"
    """When its head is there; nothing is read, nothing stored."""
    HALFWAY = "halfway"
    """When half of its body was read; nothing is stored."""
    AFTER = "after"
    """When it is stored, before the answer: the sender cannot know."""


@dataclass(slots=True, kw_only=True)
class Fault:
    """The next `count` pushes meet this; one thing of `code`, `cut` and a mere delay."""

    count: int = 1
    code: int = 0
    """The status of an answer instead of a push; nothing is stored."""
    text: str = ""
    """The body of that answer; "" for a plain one."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers of that answer: Retry-After."""
    cut: Cut | None = None
    delay_seconds: float = 0.0
    """Waited first, before the body is read."""
    tenant: str = ""
    """Only pushes of this tenant; "" for all."""

    @classmethod
    def of(cls, asked: Mapping[str, Any]) -> Self:
        """Return the fault that a verb's JSON describes. Raises ValueError for what is none."""
        known = {"count": int, "code": int, "text": str, "headers": dict, "delay_seconds": float, "tenant": str}
        try:
            values = {name: known[name](value) for name, value in asked.items() if name != "cut"}
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"no fault: {error}; known are {', '.join([*known, 'cut'])}") from error
        return cls(**values, cut=Cut(asked["cut"]) if asked.get("cut") else None)


class Faults:
    """All faults that are switched on; the first that fits a push meets it."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Switch on one more."""
        self._faults.append(fault)

    def answer(self, code: int, count: int = 1, *, text: str = "", **headers: str) -> None:
        """Answer the next *count* pushes with *code* and *text*; `retry_after="3"` becomes a header."""
        named = {name.replace("_", "-").title(): value for name, value in headers.items()}
        self.add(Fault(count=count, code=code, text=text, headers=named))

    def cut(self, when: Cut | str, count: int = 1) -> None:
        """Cut the connections of the next *count* pushes."""
        self.add(Fault(count=count, cut=Cut(when)))

    def delay(self, seconds: float, count: int = 1) -> None:
        """Answer the next *count* pushes later."""
        self.add(Fault(count=count, delay_seconds=seconds))

    def take(self, tenant: str) -> Fault | None:
        """Return the fault that meets a push of *tenant*, and count it down."""
        for fault in self._faults:
            if fault.tenant in ("", tenant):
                fault.count -= 1
                if fault.count <= 0:
                    self._faults.remove(fault)
                return fault
        return None

    @property
    def pending(self) -> int:
        """How many pushes will meet a fault yet."""
        return sum(fault.count for fault in self._faults)

    def clear(self) -> None:
        """Mend everything."""
        self._faults.clear()
