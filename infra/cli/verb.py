"""What the verbs of a deployment have alike: the options that say where, and how they end."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, ParamSpec, get_type_hints

import typer

if TYPE_CHECKING:
    from infra.cli.deploying import Where

P = ParamSpec("P")
Project = Annotated[str | None, typer.Option(help="The Google project; else gcloud's own.")]
Region = Annotated[str, typer.Option(help="Where it runs.")]
ProfileName = Annotated[str, typer.Option("--profile", help="How large: dev, small or prod.")]
Env = Annotated[str, typer.Option(help="A second system in the same project has another name.")]
PublicUrl = Annotated[str, typer.Option(help="A domain of your own for the gateway, https://calls.example.com.")]
Email = Annotated[str, typer.Option(help="Who is told by alerts.")]
Budget = Annotated[int, typer.Option(min=0, help="Dollars a month; mail at 50, 90 and 100 percent.")]
PROFILE = "small"
_PLACE: dict[str, tuple[Any, Any]] = {
    "project": (Project, None),
    "region": (Region, "us-central1"),
    "profile": (ProfileName, PROFILE),
    "env": (Env, "main"),
    "public_url": (PublicUrl, ""),
    "alert_email": (Email, ""),
    "budget": (Budget, 0),
}
ALWAYS = ("project", "region", "profile", "env")
DOMAIN = (*ALWAYS, "public_url")
WHOLE = (*DOMAIN, "alert_email", "budget")


def placed(*options: str) -> Callable[[Callable[Concatenate[Where, P], int]], Callable[..., None]]:
    """Makes a command of a function of a place: these options become its `Where`, and what it returns the exit code.
    Failures are told with their remedy."""

    def make(work: Callable[Concatenate[Where, P], int]) -> Callable[..., None]:
        own = list(inspect.signature(work).parameters.values())[1:]
        hints = get_type_hints(work, {**work.__globals__, "Where": object}, include_extras=True)

        @functools.wraps(work)
        def command(**given: Any) -> None:
            from infra.cli import deploying
            from infra.cli.console import err

            where = deploying.Where(**{name: given.pop(name) for name in options})
            code = deploying.guarded(err, functools.partial(work, where, **given))
            raise typer.Exit(code)

        kind = inspect.Parameter.KEYWORD_ONLY
        parameters = [one.replace(kind=kind, annotation=hints[one.name]) for one in own]
        for name in options:
            annotation, default = _PLACE[name]
            parameters.append(inspect.Parameter(name, kind, default=default, annotation=annotation))
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {one.name: one.annotation for one in parameters}
        del command.__wrapped__  # whoever looks at it sees the options, not the function
        return command

    return make
