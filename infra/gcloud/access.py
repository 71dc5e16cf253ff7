"""What a smoke test of a place needs to know: addresses, and secrets read into memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from infra.gcloud import smoke as trial
from infra.gcloud.gcloud import Gcloud
from infra.gcloud.place import Place
from infra.gcloud.values import value


def smoker(
    gcloud: Gcloud, environ: Mapping[str, str], told: Callable[[str], None]
) -> Callable[[Place], Callable[[str, str, str], Sequence[str]]]:
    """For a place: tries the system at (phone, desk, neighbour or "") and says what is wrong. The secrets come from
    the environment, else from Secret Manager."""

    def secret(place: Place, name: str, variable: str) -> str:
        return environ.get(variable, "").strip() or value(gcloud, place, name)

    def at(place: Place) -> Callable[[str, str, str], Sequence[str]]:
        def try_it(phone: str, desk: str, others: str) -> Sequence[str]:
            target = trial.Target(
                phone=phone,
                desk=desk,
                public=place.base_url,
                auth_token=secret(place, "twilio-auth-token", "TWILIO_AUTH_TOKEN"),
                username=environ.get("ADMIN_USERNAME", "").strip() or "admin",
                password=secret(place, "admin-password", "ADMIN_PASSWORD"),
                others=others,
            )

            def tell(one: trial.Finding) -> None:
                told(f"  {'ok  ' if one.ok else 'FAIL'} {one}")

            found = asyncio.run(trial.smoke(target, tell))
            return [str(one) for one in found if not one.ok]

        return try_it

    return at
