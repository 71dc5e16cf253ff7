# ruff: noqa: E501 - a mutation is a line
"""The real gcloud against Google's APIs on loopback: from nothing to everything, again, and a new version."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.gcloud.down import plan_down, take_down
from infra.gcloud.place import Place
from infra.gcloud.resources import SECRETS
from infra.gcloud.services import TRIED
from tests.deploy.fake_google.cloud import NUMBER, PROJECT, Cloud
from tests.deploy.fake_google.ready import ENVIRON, Died, ready
from tests.deploy.rules import RULES, broken
from tests.deploy.story import Story, copied

pytestmark = [pytest.mark.timeout(900)]


def test_from_nothing_to_everything(story: Story) -> None:
    """In two runs, the first of which died, and in spite of everything in TROUBLES."""
    assert 110 < len(set(story.made)) < 150
    assert broken(story.first, story.place) == {}
    assert story.first.things["budget"]
    (build,) = story.first.things["build"].values()
    assert build["options"]["logging"] == "CLOUD_LOGGING_ONLY"


@pytest.mark.long
@pytest.mark.parametrize("calls", [5, 30, 66, 100, 140, 165])
def test_it_may_die_anywhere(tmp_path: Path, calls: int) -> None:
    with ready(tmp_path) as here:
        here.calls_left = calls
        with pytest.raises(Died):
            here.up()
        here.calls_left = -1
        here.up()
        todo = here.plan()
        assert todo.empty
        assert broken(here.cloud, todo.place) == {}


def test_a_first_version_that_does_not_work_is_tried_again_by_the_next_run(story: Story) -> None:
    """It serves, there being no other; but `up` does not call it well before its smoke test has passed, and tries it
    when all is there that brings it news."""
    assert story.untried == ["try"]
    assert story.first.things["service"][story.place.named("gateway")]["metadata"]["annotations"][TRIED]


@pytest.mark.long
def test_large_with_a_second_system_beside_it(tmp_path: Path) -> None:
    with ready(tmp_path) as here:
        here.up(here.place("prod"))
        todo = here.plan(here.place("prod"))
        assert todo.empty
        assert broken(here.cloud, todo.place) == {}
        writes = len(here.cloud.writes)
        services = set(here.cloud.things["service"])
        here.up(here.place("dev", env="staging"))
        assert len(here.cloud.writes) > writes
        assert here.plan(here.place("prod")).empty
        assert here.plan(here.place("dev", env="staging")).empty
        added = set(here.cloud.things["service"]) - services
        assert all(name.startswith("callboard-staging-") for name in added)
        assert set(here.cloud.things["database"]) == {"(default)", "callboard-staging"}
        assert "callboard-staging-events" in here.cloud.things["topic"]


@pytest.mark.long
def test_down_keeps_the_data_and_then_leaves_nothing(tmp_path: Path) -> None:
    with ready(tmp_path) as here:
        here.up()
        cloud = here.cloud
        for keep in (True, False):
            todo = here.plan()
            take_down(here.gcloud, plan_down(todo.place, todo.state, keep_data=keep), here.lines.append)
            left = {kind: set(things) for kind, things in cloud.things.items() if things}
            if keep:
                assert {"database", "version", "topic", "subscription"} <= set(left)
                assert left["bucket"] == {f"{PROJECT}-callboard-files"}
            gone = ("service", "job", "queue", "account", "repository", "metric", "policy", "channel", "budget")
            assert not set(gone) & set(left)
        assert not {"database", "secret", "topic", "subscription", "bucket"} & set(left)
        ours = [
            member for b in cloud.policies["project"]["bindings"] for member in b["members"] if "callboard" in member
        ]
        assert ours == []


def test_the_second_run_changes_nothing(story: Story) -> None:
    assert story.again.empty
    assert story.writes_again == 0


def test_a_changed_image_makes_one_revision_by_the_road(story: Story) -> None:
    gateway = story.place.named("gateway")
    assert story.released == [
        "images: gateway",
        f"{gateway}: candidate, no traffic",
        f"{gateway}: a tenth",
        f"{gateway}: everything",
    ]
    new = set(story.second.things["revision"]) - set(story.first.things["revision"])
    assert len(new) == 1
    (revision,) = new
    assert story.second.things["service"][gateway]["status"]["traffic"] == [{"revisionName": revision, "percent": 100}]
    url = f"https://{gateway}-{NUMBER}.us-central1.run.app"
    assert story.smoked == [url, f"https://candidate---{gateway}-a1b2c3-uc.a.run.app"]
    assert broken(story.second, story.place) == {}


def test_no_secret_is_on_a_command_line_in_a_log_or_in_a_service(story: Story) -> None:
    versions = story.second.things["version"].values()
    kept = [base64.b64decode(data).decode() for each in versions for data in each.values()]
    assert {ENVIRON["TWILIO_AUTH_TOKEN"], ENVIRON["OPENAI_API_KEY"], ENVIRON["DEEPGRAM_API_KEY"]} <= set(kept)
    assert len(kept) == 6  # three of vendors, three made up; ElevenLabs' come when they are there
    shown = json.dumps([story.argvs, story.lines, story.second.things["service"], story.made])
    for secret in kept:
        assert secret not in shown
    names = {secret.name for secret in SECRETS if secret.origin == "made"}
    assert all(f"secret {story.place.named(name)}: version 1 (made up)" in story.made for name in names)


# every rule, and something that breaks it

Break = Callable[[Cloud, Place], Any]


def _service(cloud: Cloud, name: str = "callboard-gateway") -> dict[str, Any]:
    return cloud.things["service"][name]


def _template(cloud: Cloud, name: str = "callboard-gateway") -> dict[str, Any]:
    template: dict[str, Any] = _service(cloud, name)["spec"]["template"]
    return template


def _container(cloud: Cloud, name: str = "callboard-gateway") -> dict[str, Any]:
    container: dict[str, Any] = _template(cloud, name)["spec"]["containers"][0]
    return container


def _variable(cloud: Cloud, name: str, value: str, service: str = "callboard-gateway") -> None:
    env = _container(cloud, service)["env"]
    env[:] = [one for one in env if one["name"] != name] + [{"name": name, "value": value}]


def _bind(cloud: Cloud, target: str, role: str, member: str) -> None:
    cloud.policy(target)["bindings"].append({"role": role, "members": [member]})


def _unbind(cloud: Cloud, target: str, role: str) -> None:
    policy = cloud.policy(target)
    policy["bindings"] = [binding for binding in policy["bindings"] if binding["role"] != role]


def _sub(cloud: Cloud) -> dict[str, Any]:
    return cloud.things["subscription"]["callboard-apply"]


GATEWAY = f"serviceAccount:callboard-gateway@{PROJECT}.iam.gserviceaccount.com"
APPLY = f"serviceAccount:callboard-apply@{PROJECT}.iam.gserviceaccount.com"
BUILD = f"serviceAccount:callboard-build@{PROJECT}.iam.gserviceaccount.com"
MUTATIONS: list[tuple[str, str, Break]] = [
    ("no_wide_roles", "editor", lambda c, _: _bind(c, "project", "roles/editor", GATEWAY)),
    ("no_wide_roles", "admin", lambda c, _: _bind(c, "topic:callboard-events", "roles/pubsub.admin", GATEWAY)),
    ("grants_stand_on_the_resource", "publisher of all", lambda c, _: _bind(c, "project", "roles/pubsub.publisher", APPLY)),
    ("grants_stand_on_the_resource", "all databases", lambda c, _: _bind(c, "project", "roles/datastore.user", APPLY)),
    ("one_account_per_component", "shared", lambda c, _: _template(c)["spec"].update(
        serviceAccountName=f"callboard-apply@{PROJECT}.iam.gserviceaccount.com")),
    ("one_account_per_component", "default", lambda c, _: _template(c)["spec"].update(
        serviceAccountName=f"{NUMBER}-compute@developer.gserviceaccount.com")),
    ("one_account_per_component", "gone", lambda c, _: c.things["service"].pop("callboard-fallback")),
    ("public_is_what_vendors_call", "gateway shut", lambda c, _: _unbind(c, "service:callboard-gateway", "roles/run.invoker")),
    ("public_is_what_vendors_call", "webhook shut", lambda c, _: _unbind(c, "service:callboard-webhook", "roles/run.invoker")),
    ("public_is_what_vendors_call", "apply open", lambda c, _: _bind(c, "service:callboard-apply", "roles/run.invoker", "allUsers")),
    ("public_is_what_vendors_call", "apply reachable", lambda c, _: _service(c, "callboard-apply")["metadata"][
        "annotations"].update({"run.googleapis.com/ingress": "all"})),
    ("public_is_what_vendors_call", "secret open", lambda c, _: _bind(c, "secret:callboard-jwt-secret", "roles/x", "allUsers")),
    ("private_is_invoked_by_its_caller_only", "gateway calls apply", lambda c, _: _bind(
        c, "service:callboard-apply", "roles/run.invoker", GATEWAY)),
    ("private_is_invoked_by_its_caller_only", "nobody", lambda c, _: _unbind(c, "service:callboard-apply", "roles/run.invoker")),
    ("secrets_are_read_by_who_uses_them", "too many", lambda c, _: _bind(
        c, "secret:callboard-jwt-secret", "roles/secretmanager.secretAccessor", APPLY)),
    ("secrets_are_read_by_who_uses_them", "too few", lambda c, _: c.policies.pop("secret:callboard-openai-api-key")),
    ("secrets_are_pinned_references", "literal", lambda c, _: _variable(c, "OPENAI_API_KEY", "sk-123")),
    ("secrets_are_pinned_references", "latest", lambda c, _: next(
        one for one in _container(c)["env"] if "valueFrom" in one)["valueFrom"]["secretKeyRef"].update(key="latest")),
    ("the_gateway_holds_sockets", "five minutes", lambda c, _: _template(c)["spec"].update(timeoutSeconds=300)),
    ("the_gateway_holds_sockets", "few", lambda c, _: _template(c)["spec"].update(containerConcurrency=10)),
    ("the_gateway_holds_sockets", "http/2", lambda c, _: _container(c)["ports"][0].update(name="h2c")),
    ("the_gateway_holds_sockets", "gen1", lambda c, _: _template(c)["metadata"]["annotations"].update(
        {"run.googleapis.com/execution-environment": "gen1"})),
    ("the_gateway_holds_sockets", "no boost", lambda c, _: _template(c)["metadata"]["annotations"].update(
        {"run.googleapis.com/startup-cpu-boost": "false"})),
    ("the_gateway_holds_sockets", "no probe", lambda c, _: _container(c).pop("livenessProbe")),
    ("the_gateway_holds_sockets", "no start", lambda c, _: _container(c).pop("startupProbe")),
    ("the_gateway_holds_sockets", "minimum of a revision", lambda c, _: _template(c)["metadata"]["annotations"].update(
        {"autoscaling.knative.dev/minScale": "1"})),
    ("the_gateway_holds_sockets", "elsewhere", lambda c, _: _variable(c, "PUBLIC_BASE_URL", "https://example.com")),
    ("the_gateway_holds_sockets", "cpu", lambda c, _: _template(c)["metadata"]["annotations"].update(
        {"run.googleapis.com/cpu-throttling": "false"})),
    ("images_are_digests_of_ours", "tag", lambda c, _: _container(c).update(image="gcr.io/x/gateway:latest")),
    ("nothing_of_the_demo_on_cloud_run", "scripted", lambda c, _: _variable(c, "CALLBOARD_LLM", "scripted")),
    ("nothing_of_the_demo_on_cloud_run", "a file", lambda c, _: _variable(c, "CALLBOARD_STORE", "embedded", "callboard-apply")),
    ("pushes_are_signed_for_the_applier", "unsigned", lambda c, _: _sub(c)["pushConfig"].pop("oidcToken")),
    ("pushes_are_signed_for_the_applier", "elsewhere", lambda c, _: _sub(c)["pushConfig"].update(pushEndpoint="https://x")),
    ("pushes_are_signed_for_the_applier", "audience", lambda c, _: _sub(c)["pushConfig"]["oidcToken"].update(audience="x")),
    ("pushes_are_signed_for_the_applier", "unchecked", lambda c, _: _variable(
        c, "CALLBOARD_PUSH_AUDIENCE", "x", "callboard-apply")),
    ("pushes_are_signed_for_the_applier", "disorder", lambda c, _: _sub(c).update(enableMessageOrdering=False)),
    ("pushes_are_signed_for_the_applier", "no dead letters", lambda c, _: _sub(c).pop("deadLetterPolicy")),
    ("pushes_are_signed_for_the_applier", "no retry", lambda c, _: _sub(c).pop("retryPolicy")),
    ("pushes_are_signed_for_the_applier", "hasty", lambda c, _: _sub(c).update(ackDeadlineSeconds=10)),
    ("pushes_are_signed_for_the_applier", "expires", lambda c, _: _sub(c).pop("expirationPolicy")),
    ("dead_letters_get_there_and_stay", "no publisher", lambda c, _: c.policies.pop("topic:callboard-dead")),
    ("dead_letters_get_there_and_stay", "no subscriber", lambda c, _: c.policies.pop("subscription:callboard-apply")),
    ("dead_letters_get_there_and_stay", "lost", lambda c, _: c.things["subscription"].pop("callboard-dead")),
    ("publishers_publish_one_topic", "apply publishes", lambda c, _: _bind(
        c, "topic:callboard-events", "roles/pubsub.publisher", APPLY)),
    ("publishers_publish_one_topic", "another topic", lambda c, _: _variable(c, "CALLBOARD_TOPIC", "other")),
    ("files_and_dead_letters_are_touched_by_who_must", "no sound", lambda c, _: _variable(c, "CALLBOARD_AUDIO_BUCKET", "")),
    ("files_and_dead_letters_are_touched_by_who_must", "letters stay", lambda c, _: c.policies.pop("subscription:callboard-dead")),
    ("files_and_dead_letters_are_touched_by_who_must", "fallback reads", lambda c, _: _bind(
        c, f"bucket:{PROJECT}-callboard-files", "roles/storage.objectUser", BUILD)),
    ("the_memory_is_guarded", "unguarded", lambda c, _: c.things["database"]["(default)"].pop("deleteProtectionState")),
    ("the_memory_is_guarded", "no index", lambda c, _: c.things["index"].clear()),
    ("the_memory_is_guarded", "for ever", lambda c, _: c.things["ttl"].popitem()),
    ("the_memory_is_guarded", "no backup", lambda c, _: c.things["backup"].clear()),
    ("schedules_show_a_token", "no token", lambda c, _: c.things["job"]["callboard-reminders"]["httpTarget"].pop("oidcToken")),
    ("schedules_show_a_token", "gone", lambda c, _: c.things["job"].pop("callboard-reconcile")),
    ("alerts_watch_what_is_counted", "not counted", lambda c, _: c.things["metric"].pop("callboard-silence")),
    ("alerts_watch_what_is_counted", "nobody told", lambda c, _: [
        one.pop("notificationChannels") for one in c.things["policy"].values()]),
    ("alerts_watch_what_is_counted", "gone", lambda c, _: c.things["policy"].popitem()),
    ("the_build_may_build_and_release_only", "secrets", lambda c, _: _bind(
        c, "secret:callboard-jwt-secret", "roles/secretmanager.secretAccessor", BUILD)),
    ("old_images_and_sources_go", "images", lambda c, _: c.things["repository"]["callboard"].pop("cleanupPolicies")),
    ("old_images_and_sources_go", "public", lambda c, _: c.things["bucket"][
        f"{PROJECT}-callboard-files"].pop("iamConfiguration")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "how", "break_it"), MUTATIONS, ids=[f"{name}-{how}" for name, how, _ in MUTATIONS])
def test_a_broken_rule_is_noticed(story: Story, name: str, how: str, break_it: Break) -> None:
    cloud = copied(story.first)
    break_it(cloud, story.place)
    assert name in broken(cloud, story.place), how


def test_every_rule_has_something_that_breaks_it() -> None:
    assert set(RULES) == {name for name, _, _ in MUTATIONS}
