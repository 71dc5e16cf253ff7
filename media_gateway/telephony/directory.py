"""Whom callers can be put through to: the person of their flow, the one for all (HANDOFF_NUMBER), and supervisors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from media_gateway.conversation.flow import Flow
from media_gateway.telephony.handoff import Person
from realtime.call import Call


def person_of(flow: Flow) -> Person:
    """Who takes this flow's callers over; without a number of its own, HANDOFF_NUMBER does."""
    return Person(flow.spec.escalation.number or "", flow.spec.escalation.mode)


def called(name: str) -> str:
    """A supervisor's name as it is looked up."""
    return name.strip().lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """`people` by the flow's name, `supervisors` (user name: E.164) as CALLBOARD_SUPERVISORS has them."""

    people: Mapping[str, Person]
    number: str | None = None
    supervisors: Mapping[str, str]

    def usual(self, call: Call) -> Person | None:
        """Who takes this call's caller over when nobody is named; None if there is nobody."""
        own = self.people.get(call.flow or "")
        if own is not None and own.number:
            return own
        return Person(self.number, own.mode if own else "warm") if self.number else None

    def chosen(self, call: Call) -> Person | None:
        """The same, unless a supervisor has named somebody for this call (`metadata["transfer"]`)."""
        named = call.metadata.get("transfer")
        return Person(named["number"], named["mode"]) if named else self.usual(call)

    def named(self, call: Call, to: str) -> Person | None:
        """A supervisor by name, or a number that is one of ours; None for any other."""
        if number := self.supervisors.get(called(to)):
            return Person(number)
        usual = self.usual(call)
        ours = {number: Person(number) for number in (*self.supervisors.values(), self.number) if number}
        if usual:
            ours[usual.number] = usual
        return ours.get(to.strip())

    def own(self, user: str) -> Person | None:
        """The telephone of this supervisor, who need not be asked whether they want the caller."""
        number = self.supervisors.get(called(user))
        return Person(number, "cold") if number else None
