"""The verbs of a deployment, as typer knows them. What they do is in `deploying.py` and its neighbours, which are
imported when a verb is used."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli.console import Json, err, out
from infra.cli.verb import ALWAYS, DOMAIN, PROFILE, WHOLE, ProfileName, placed

if TYPE_CHECKING:
    from infra.cli.deploying import Where

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")]
Watch = Annotated[float, typer.Option("--watch", min=0, help="Minutes that a tenth of the traffic is watched.")]
NoPromote = Annotated[bool, typer.Option("--no-promote", help="Leave the candidate under its tag.")]
deploy_app = typer.Typer()


@deploy_app.command()
@placed(*WHOLE)
def plan(
    where: Where,
    yaml: Annotated[bool, typer.Option("--yaml", help="The services as they would be written.")] = False,
    commands: Annotated[bool, typer.Option("--commands", help="Every gcloud command.")] = False,
    as_json: Json = False,
) -> int:
    """Everything that `up` would change on Google Cloud, and what it would cost. Changes nothing."""
    from infra.cli import deploying

    return deploying.show_plan(out, err, where, yaml=yaml, commands=commands, as_json=as_json)


@deploy_app.command()
@placed(*WHOLE)
def up(
    where: Where,
    image: Annotated[list[str] | None, typer.Option(help="gateway=NAME@sha256:..., built elsewhere.")] = None,
    watch: Watch = 5.0,
    no_promote: NoPromote = False,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> int:
    """Make it so: from nothing to a system that answers, or from one version to the next. Keys come from the
    environment."""
    from infra.cli import deploying

    images, road = deploying.images_of(image or []), {"watch_s": watch * 60, "promote": not no_promote}
    return deploying.run_up(
        out, err, where, yes=yes, dry_run=dry_run, images=images, road=road, confirm=typer.confirm
    )  # fmt: skip


@deploy_app.command()
@placed(*DOMAIN)
def release(
    where: Where,
    image: Annotated[list[str], typer.Option(help="gateway=NAME@sha256:..., and functions=...")],
    watch: Watch = 5.0,
    no_promote: NoPromote = False,
    dry_run: DryRun = False,
) -> int:
    """A new version of the services, by the same road, and nothing else: what Cloud Build does (cloudbuild.yaml)."""
    from infra.cli import releasing

    road = {"watch_s": watch * 60, "promote": not no_promote}
    return releasing.run_release(err, where, image, road=road, dry_run=dry_run)


@deploy_app.command()
@placed(*DOMAIN)
def promote(where: Where, watch: Watch = 5.0, dry_run: DryRun = False) -> int:
    """Go on with the candidate that waits: smoke, a tenth of the traffic, all of it."""
    from infra.cli import releasing

    return releasing.run_promote(err, where, watch_s=watch * 60, dry_run=dry_run)


@deploy_app.command()
@placed(*ALWAYS)
def rollback(where: Where, dry_run: DryRun = False) -> int:
    """All traffic back to the revision that served before."""
    from infra.cli import releasing

    return releasing.run_rollback(err, where, dry_run=dry_run)


@deploy_app.command()
@placed(*ALWAYS)
def status(where: Where, as_json: Json = False) -> int:
    """What serves, what waits, and what is not ready. Exit code 1 if something is not as it should be."""
    from infra.cli import releasing

    return releasing.show_status(out, err, where, as_json=as_json)


@deploy_app.command()
@placed(*ALWAYS)
def logs(
    where: Where,
    call: Annotated[str | None, typer.Argument(help="An id of a call; else everything.")] = None,
    service: Annotated[str | None, typer.Option(help="Only this service.")] = None,
    minutes: Annotated[int, typer.Option(min=1, help="How far back.")] = 60,
    as_json: Json = False,
) -> int:
    """What all components logged about a call, in order."""
    from infra.cli import reading_logs

    return reading_logs.show_logs(out, err, where, call, service, minutes=minutes, as_json=as_json)


@deploy_app.command()
@placed(*DOMAIN)
def wire(where: Where, dry_run: DryRun = False) -> int:
    """Point the Twilio number and ElevenLabs' webhook at the system, and read both back."""
    from infra.cli import wiring

    return wiring.run_wire(err, where, dry_run=dry_run)


@deploy_app.command()
@placed(*ALWAYS)
def down(
    where: Where,
    keep_data: Annotated[bool, typer.Option("--keep-data", help="Calls, customers, files and keys stay.")] = False,
    everything: Annotated[bool, typer.Option("--everything", help="Nothing stays. There is no way back.")] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> int:
    """Take the system away."""
    from infra.cli import wiring

    return wiring.run_down(
        err, where, keep_data=keep_data, everything=everything, yes=yes, dry_run=dry_run, ask=typer.prompt
    )


@deploy_app.command()
@placed(*ALWAYS)
def doctor(
    where: Where,
    online: Annotated[bool, typer.Option("--online", help="Ask Twilio and the other vendors too.")] = False,
    as_json: Json = False,
) -> int:
    """What is ready on this machine and in the project, and the exact fix for what is not. Changes nothing."""
    from infra.doctor.report import run_doctor

    return run_doctor(out, where, online=online, as_json=as_json)


@deploy_app.command()
def cost(
    profile: ProfileName = PROFILE,
    minutes: Annotated[int, typer.Option(min=0, help="Of calls in a month.")] = 1000,
    viewers: Annotated[int, typer.Option(min=0, help="Dashboards that watch.")] = 1,
    as_json: Json = False,
) -> None:
    """What a month costs, Google's part and the vendors'."""
    from infra.cli import deploying
    from infra.cost.model import Assumptions

    given = Assumptions(minutes=minutes, viewers=viewers)
    raise typer.Exit(deploying.guarded(err, lambda: deploying.show_cost(out, profile, given, as_json=as_json)))


@deploy_app.command(name="smoke")
def smoke_test(
    url: Annotated[str, typer.Argument(help="The address to try, such as that of a revision's tag.")],
    public_url: Annotated[str, typer.Option(help="PUBLIC_BASE_URL, if it is another.")] = "",
    desk: Annotated[str, typer.Option(help="Where the dashboards are, if elsewhere.")] = "",
    no_call: Annotated[bool, typer.Option("--no-call", help="Without the simulated call.")] = False,
    as_json: Json = False,
) -> None:
    """Does it answer its phone? Liveness, signed TwiML, sockets, a bad signature, one simulated call. The keys come
    from the environment (TWILIO_AUTH_TOKEN, ADMIN_USERNAME, ADMIN_PASSWORD), else from what `dev` keeps here."""
    from infra.cli import deploying, smoking

    def work() -> int:
        trial = smoking.smoke_test(
            out, os.environ, url, public_url or url, desk or url, call=not no_call, as_json=as_json
        )  # fmt: skip
        return asyncio.run(trial)

    raise typer.Exit(deploying.guarded(err, work))
