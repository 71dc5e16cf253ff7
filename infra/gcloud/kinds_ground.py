"""APIs, accounts, images and the memory: what is listed, and the commands."""

from __future__ import annotations

import json

from infra.gcloud.kind import Found, Listed, last, one
from infra.gcloud.model import Command, Resource, Spec
from infra.gcloud.place import Place


def read_apis(_place: Place, listed: Listed) -> Found:
    return {last(item.get("config", {}).get("name") or item["name"]): {} for item in listed}


def read_accounts(_place: Place, listed: Listed) -> Found:
    return {item["email"].partition("@")[0]: {} for item in listed}


def create_account(_place: Place, want: Resource) -> tuple[Command, ...]:
    return one("iam", "service-accounts", "create", want.name, f"--display-name={want.why[:100]}")


def read_repositories(_place: Place, listed: Listed) -> Found:
    found = {}
    for item in listed:
        rules = []
        for rule in item.get("cleanupPolicies", {}).values():
            if "mostRecentVersions" in rule:
                rules.append(f"keep:{rule['mostRecentVersions']['keepCount']}")
            else:
                rules.append(f"delete:{round(float(rule['condition']['olderThan'][:-1])) // 86400}d")
        found[last(item["name"])] = {"format": item["format"], "cleanup": tuple(sorted(rules, reverse=True))}
    return found


def cleanup(place: Place, want: Resource) -> Command:
    keep, old = want.spec["cleanup"]
    policies = [
        {
            "name": "keep-newest",
            "action": {"type": "Keep"},
            "mostRecentVersions": {"keepCount": int(keep.partition(":")[2])},
        },
        {"name": "delete-old", "action": {"type": "Delete"}, "condition": {"olderThan": old.partition(":")[2]}},
    ]
    where = ("artifacts", "repositories", "set-cleanup-policies", want.name, f"--location={place.region}")
    return Command((*where, "--policy={file:cleanup.json}", "--no-dry-run"), {"cleanup.json": json.dumps(policies)})


def create_repository(place: Place, want: Resource) -> tuple[Command, ...]:
    made = ("artifacts", "repositories", "create", want.name, "--repository-format=docker")
    return (Command((*made, f"--location={place.region}", f"--description={want.why}")), cleanup(place, want))


def read_databases(_place: Place, listed: Listed) -> Found:
    return {
        last(item["name"]): {
            "type": item["type"],
            "location": item["locationId"],
            "protected": item.get("deleteProtectionState") == "DELETE_PROTECTION_ENABLED",
            "recovery": item.get("pointInTimeRecoveryEnablement") == "POINT_IN_TIME_RECOVERY_ENABLED",
        }
        for item in listed
    }


def guards(want: Resource) -> tuple[str, ...]:
    return ("--delete-protection", "--enable-pitr" if want.spec["recovery"] else "--no-enable-pitr")


def create_database(place: Place, want: Resource) -> tuple[Command, ...]:
    where = (f"--database={want.name}", f"--location={want.spec['location']}", "--type=firestore-native")
    said = tuple(flag for flag in guards(want) if not flag.startswith("--no-"))
    return one("firestore", "databases", "create", *where, *said)


def change_database(_place: Place, want: Resource, _there: Spec) -> tuple[Command, ...]:
    return one("firestore", "databases", "update", f"--database={want.name}", *guards(want))


def remove_database(_place: Place, name: str, _there: Spec) -> tuple[Command, ...]:
    update = ("firestore", "databases", "update", f"--database={name}", "--no-delete-protection")
    return (Command(update), Command(("firestore", "databases", "delete", f"--database={name}", "--quiet")))


def read_indexes(_place: Place, listed: Listed) -> Found:
    found = {}
    for item in listed:
        collection = item["name"].split("/collectionGroups/")[1].split("/")[0]
        fields = tuple(
            (field["fieldPath"], field["order"].lower())
            for field in item["fields"]
            if "order" in field and field["fieldPath"] != "__name__"
        )
        name = f"{collection}:{','.join(f'{field} {order}' for field, order in fields)}"
        found[name] = {"collection": collection, "fields": fields}
    return found


def create_index(place: Place, want: Resource) -> tuple[Command, ...]:
    fields = [f"--field-config=field-path={field},order={order}" for field, order in want.spec["fields"]]
    where = (f"--database={place.database}", f"--collection-group={want.spec['collection']}")
    return one(
        "firestore", "indexes", "composite", "create", *where, "--query-scope=collection", *fields, "--async"
    )  # fmt: skip


def read_ttls(_place: Place, listed: Listed) -> Found:
    on = [item for item in listed if item.get("ttlConfig", {}).get("state") in ("ACTIVE", "CREATING")]
    return {item["name"].split("/collectionGroups/")[1].split("/")[0]: {} for item in on}


def create_ttl(place: Place, want: Resource) -> tuple[Command, ...]:
    where = (f"--collection-group={want.name}", f"--database={place.database}")
    return one("firestore", "fields", "ttls", "update", "expire_at", *where, "--enable-ttl", "--async")


def read_backups(_place: Place, listed: Listed) -> Found:
    daily = [item["retention"] for item in listed if "dailyRecurrence" in item]
    return {"daily": {"retention": daily[0]}} if daily else {}


def create_backup(place: Place, want: Resource) -> tuple[Command, ...]:
    where = ("firestore", "backups", "schedules", "create", f"--database={place.database}")
    return one(*where, "--recurrence=daily", f"--retention={want.spec['retention']}")


# a bucket for sources on their way to a build


def create_bucket(place: Place, want: Resource) -> tuple[Command, ...]:
    where = f"gs://{want.name}"
    shut = ("--uniform-bucket-level-access", "--public-access-prevention")
    old = {"rule": [{"action": {"type": "Delete"}, "condition": {"age": want.spec["days"]}}]}
    return (
        Command(("storage", "buckets", "create", where, f"--location={place.region}", *shut)),
        Command(
            ("storage", "buckets", "update", where, "--lifecycle-file={file:lifecycle.json}"),
            {"lifecycle.json": json.dumps(old)},
        ),
    )


def read_buckets(_place: Place, listed: Listed) -> Found:
    """The days are those of the first rule that deletes."""
    found = {}
    for item in listed:
        rules = (item.get("lifecycle_config") or item.get("lifecycle") or {}).get("rule", ())
        days = [rule["condition"].get("age", 0) for rule in rules if rule["action"]["type"] == "Delete"]
        found[item["name"]] = {"days": int(days[0]) if days else 0}
    return found


def change_bucket(place: Place, want: Resource, _there: Spec) -> tuple[Command, ...]:
    return create_bucket(place, want)[1:]
