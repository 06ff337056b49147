"""Errors a person can act on: where, what was found, what to do next. Never a patient's value."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Message:
    """One finding for a person or a program: a code, a place, what it is and how to mend it."""

    code: str
    where: str
    what: str
    fix: str

    def __str__(self) -> str:
        return f"{self.code} {self.where}: {self.what}\n  To fix: {self.fix}"


class CausewayError(Exception):
    """Base of every error that Causeway raises on purpose.

    Args:
        where: The thing at fault, as the user knows it: a file and key, a table, a study.
        what: What was found, and what was expected. Never a patient's value.
        fix: One sentence, in the imperative, that would make the next run pass.
        code: Machine-readable code; the class's own when absent.
    """

    exit_code = 10
    default_code = "E_FAILED"

    def __init__(self, where: str, what: str, fix: str, code: str | None = None) -> None:
        self.where, self.what, self.fix = where, what, fix
        self.code = code or self.default_code
        super().__init__(f"{where}: {what}\n  To fix: {fix}")

    @property
    def messages(self) -> tuple[Message, ...]:
        """What is reported about this error, one message a fault."""
        return (Message(self.code, self.where, self.what, self.fix),)


class UsageError(CausewayError):
    """The command names something that does not exist or cannot be."""

    exit_code = 2
    default_code = "E_USAGE"


class SpecError(CausewayError):
    """A study or settings file is refused; carries every fault that was found.

    Args:
        faults: All faults of the file, at least one.
    """

    exit_code = 11
    default_code = "E_SPEC_PARSE"

    def __init__(self, faults: list[Message]) -> None:
        first = faults[0]
        super().__init__(first.where, first.what, first.fix, first.code)
        self._faults = tuple(faults)
        self.args = ("\n".join(str(fault) for fault in faults),)

    @property
    def messages(self) -> tuple[Message, ...]:
        """Every fault of the file, in file order."""
        return self._faults


class SqlContractError(CausewayError):
    """A query breaks the rules of its room, or is missing a parameter."""

    default_code = "E_SQL_CONTRACT"


class LakeError(CausewayError):
    """The lake, or the snapshot that was asked for, cannot be read."""

    default_code = "E_LAKE"


class NoDataError(LakeError):
    """There is nothing in the lake yet; not a fault of the lake."""


class DeliveryError(CausewayError):
    """A delivery, or a file of it, is rejected."""

    exit_code = 12
    default_code = "E_MANIFEST_PARSE"


class GateError(CausewayError):
    """A quality or diagnostic gate stopped the work; nothing was committed or published."""

    exit_code = 13
    default_code = "E_GATE"


class EstimationError(CausewayError):
    """The data cannot support the estimate that was asked for."""

    exit_code = 14
    default_code = "E_NOT_ESTIMABLE"


class TableError(CausewayError):
    """A registry table cannot be analysed as the study says; carries every fault that was found.

    Args:
        faults: All faults of the table, at least one; each counts rows and shows none.
    """

    exit_code = 14
    default_code = "E_TABLE_ROWS"

    def __init__(self, faults: list[Message]) -> None:
        first = faults[0]
        super().__init__(first.where, first.what, first.fix, first.code)
        self._faults = tuple(faults)
        self.args = ("\n".join(str(fault) for fault in faults),)

    @property
    def messages(self) -> tuple[Message, ...]:
        """Every fault of the table."""
        return self._faults


class DisclosureError(CausewayError):
    """Nothing may be published without telling about single people."""

    exit_code = 15
    default_code = "P_SMALL_SITE"


class BusyError(CausewayError):
    """Another process holds what is needed, and waiting did not help."""

    exit_code = 16
    default_code = "E_BUSY"
