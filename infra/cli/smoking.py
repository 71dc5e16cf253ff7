"""`smoke`: what is printed around `infra.gcloud.smoke`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict

from rich.console import Console

from infra.gcloud.smoke import Finding, Target, smoke
from media_gateway.settings import load


async def smoke_test(
    out: Console, environ: Mapping[str, str], url: str, public_url: str, desk: str, *, call: bool, as_json: bool
) -> int:
    """0 if everything is well. Raises SettingsError when the keys here are not fit."""
    settings = load(environ, dev=True)
    target = Target(
        phone=url.rstrip("/"),
        desk=desk.rstrip("/"),
        public=public_url.rstrip("/"),
        auth_token=settings.twilio_auth_token.get_secret_value(),
        username=settings.admin_username,
        password=settings.admin_password.get_secret_value(),
    )

    def tell(one: Finding) -> None:
        if not as_json:
            out.print(f"{'[green]ok  [/]' if one.ok else '[red]FAIL[/]'} {one}", highlight=False, soft_wrap=True)

    found = await smoke(target, tell, call=call)
    if as_json:
        sys.stdout.write(json.dumps([asdict(one) for one in found], indent=1) + "\n")
    return 0 if all(one.ok for one in found) else 1
