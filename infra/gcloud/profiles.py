"""How large a system is, as data. What it costs is worked out from the same numbers (infra/cost)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from media_gateway.capacity import share

SPARE = 20
"""Beside its calls: webhooks, probes, and callers who are told that all lines are busy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """`calls` is how many calls one instance carries (CALLBOARD_MAX_CALLS): a share of what was measured, not a wish.
    Every call is one socket, and dashboards take their own; `concurrency` is what Cloud Run counts, all of them
    together."""

    name: str
    about: str
    split: bool
    """Media and dashboards as two services of one image: a dashboard then never keeps a media instance alive."""
    calls: int
    dashboards: int
    """Their sockets on the same instance."""
    cpu: int
    memory: str
    minimum: int
    """Gateway instances that are always there. 0 lets the first caller wait for a cold start."""
    maximum: int
    always_cpu: bool
    """CPU between requests too (instance-based billing): listeners stay alive while nobody is connected."""
    personalize_minimum: int
    """A hosted agent waits one second for this function: a cold start is longer."""
    function_maximum: int

    @property
    def concurrency(self) -> int:
        """What Cloud Run may give one instance at once. Less than there may be calls would start instances for
        nothing; more would fill one while others are idle."""
        return self.calls + self.dashboards + SPARE


PROFILES: Mapping[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile(
            name="dev",
            about="scales to zero; the first call after a pause waits for a cold start",
            split=False,
            calls=share(0.2),
            dashboards=80,
            cpu=1,
            memory="1Gi",
            minimum=0,
            maximum=2,
            always_cpu=False,
            personalize_minimum=0,
            function_maximum=3,
        ),
        Profile(
            name="small",
            about="one warm instance, billed by request; a shop with one number",
            split=False,
            calls=share(0.4),
            dashboards=180,
            cpu=1,
            memory="1Gi",
            minimum=1,
            maximum=5,
            always_cpu=False,
            personalize_minimum=0,
            function_maximum=10,
        ),
        Profile(
            name="prod",
            about="two warm media instances with CPU of their own, dashboards apart",
            split=True,
            calls=share(0.8),
            dashboards=0,
            cpu=2,
            memory="2Gi",
            minimum=2,
            maximum=20,
            always_cpu=True,
            personalize_minimum=1,
            function_maximum=20,
        ),
    )
}
DASHBOARD_CONCURRENCY = 500
"""Sockets of dashboards per instance of the dashboard service (`prod`)."""
FUNCTION_CONCURRENCY = 40
"""Requests at once per instance of a function; the default of 1 would make every burst that many cold starts."""
