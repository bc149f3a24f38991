"""Calls that fail on purpose, and a record of every call, whatever its service."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from moto.core.errors import COMMON_ERROR_CODES
from moto.core.exceptions import ServiceException


@dataclass
class Fault:
    """What happens to the calls of an operation. code: AWS's error code, "" to hang up. times: how many calls yet."""

    operation: str
    code: str
    message: str
    times: int
    after: int
    region: str


@dataclass(frozen=True)
class Call:
    """One call that arrived."""

    service: str
    operation: str
    region: str


class Refusal(ServiceException):
    """An error of AWS. moto looks in the module of its own class for a service, and there is none here."""


class HungUp(ConnectionError):
    """The server's end of the line goes away without an answer."""


class Faults:
    """Told of each call before and after it is carried out. Safe from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._hooks: list[tuple[str, str, Callable[[Call], None]]] = []
        self.calls: list[Call] = []

    def clear(self) -> None:
        """Forget all that was asked for, and all calls."""
        with self._lock:
            self._faults, self._hooks, self.calls = [], [], []

    def fail(
        self, operation: str, code: str, *, message: str = "", times: int = 1 << 30, after: int = 0, region: str = ""
    ) -> None:
        """Let the next `times` calls fail, those of one region or of all, once `after` have passed."""
        with self._lock:
            COMMON_ERROR_CODES.append(code)  # of services whose description lacks it; moto warns of others
            self._faults.append(Fault(operation, code, message or f"{code} for a test", times, after, region))

    def hang_up(self, operation: str, *, times: int = 1, after: int = 0) -> None:
        """Close the connection instead of an answer, before the call is carried out."""
        self.fail(operation, "", times=times, after=after)

    def before(self, operation: str, call: Callable[[Call], None]) -> None:
        """Call this before each such call is carried out."""
        self._hooks.append(("before", operation, call))

    def after(self, operation: str, call: Callable[[Call], None]) -> None:
        """Call this when such a call has been carried out and nobody has heard yet."""
        self._hooks.append(("after", operation, call))

    def count(self, operation: str) -> int:
        """How many calls of this operation arrived."""
        return sum(call.operation == operation for call in list(self.calls))

    def arrive(self, call: Call) -> None:
        """Raise what was asked for this call: Refusal or HungUp."""
        with self._lock:
            self.calls.append(call)
            fault = self._due(call)
        if fault is not None:
            raise Refusal(fault.code, fault.message) if fault.code else HungUp(call.operation)
        self._run("before", call)

    def leave(self, call: Call) -> None:
        """The call was carried out."""
        self._run("after", call)

    def _due(self, call: Call) -> Fault | None:
        for fault in self._faults:
            if fault.operation in (call.operation, "*") and fault.region in ("", call.region) and fault.times:
                if fault.after:
                    fault.after -= 1
                    continue
                fault.times -= 1
                return fault
        return None

    def _run(self, when: str, call: Call) -> None:
        for at, operation, hook in list(self._hooks):
            if at == when and operation in (call.operation, "*"):
                hook(call)
