"""Counts of log lines, alert policies, whom they tell, the budget: what is listed, and the commands."""

from __future__ import annotations

import json

from infra.gcloud.canonical import canonical
from infra.gcloud.kind import Found, Listed, one
from infra.gcloud.model import Command, Resource, Spec
from infra.gcloud.place import Place


def read_metrics(_place: Place, listed: Listed) -> Found:
    return {
        item["name"]: {"filter": item.get("filter", ""), "description": item.get("description", "")} for item in listed
    }


def metric(verb: str, want: Resource) -> tuple[Command, ...]:
    said = (f"--description={want.spec['description']}", f"--log-filter={want.spec['filter']}")
    return one("logging", "metrics", verb, want.name, *said)


def read_channels(_place: Place, listed: Listed) -> Found:
    return {
        item.get("displayName", item["name"]): {
            "type": item.get("type", ""),
            "address": item.get("labels", {}).get("email_address", ""),
            "id": item["name"],
        }
        for item in listed
    }


def create_channel(_place: Place, want: Resource) -> tuple[Command, ...]:
    said = (f"--display-name={want.name}", f"--type={want.spec['type']}")
    where = ("alpha", "monitoring", "channels", "create")
    return one(*where, *said, f"--channel-labels=email_address={want.spec['address']}")


def change_channel(_place: Place, want: Resource, there: Spec) -> tuple[Command, ...]:
    where = ("alpha", "monitoring", "channels", "update", str(there["id"]))
    return one(*where, f"--update-channel-labels=email_address={want.spec['address']}")


_NOT_OURS = ("name", "creationRecord", "mutationRecord", "enabled", "notificationChannels", "severity", "userLabels")


def read_policies(_place: Place, listed: Listed) -> Found:
    found = {}
    for item in listed:
        body = {name: value for name, value in item.items() if name not in _NOT_OURS}
        body["conditions"] = [
            {name: value for name, value in condition.items() if name != "name"}
            for condition in item.get("conditions", ())
        ]
        for condition in body["conditions"]:  # what is zero may be left out of an answer
            if "conditionThreshold" in condition:
                condition["conditionThreshold"] = {"thresholdValue": 0, **condition["conditionThreshold"]}
        channels = item.get("notificationChannels") or [""]
        found[item.get("displayName", "")] = {
            "body": canonical(body),
            "channel": channels[0],
            "id": item["name"],
        }
    return found


def policy(place: Place, want: Resource, there: Spec | None) -> tuple[Command, ...]:
    body = json.loads(want.spec["body"])
    if want.spec["channel"]:
        body["notificationChannels"] = [want.spec["channel"]]
    verb = ("create",) if there is None else ("update", str(there["id"]))
    where = ("alpha", "monitoring", "policies", *verb)
    return one(*where, "--policy-from-file={file:policy.json}", files={"policy.json": json.dumps(body)})


def read_budgets(_place: Place, listed: Listed) -> Found:
    return {
        item.get("displayName", ""): {
            "amount": int(item.get("amount", {}).get("specifiedAmount", {}).get("units", 0)),
            "id": item["name"],
        }
        for item in listed
    }


def create_budget(place: Place, want: Resource) -> tuple[Command, ...]:
    rules = [f"--threshold-rule=percent={share}" for share in ("0.5", "0.9", "1.0")]
    said = (f"--display-name={want.name}", f"--budget-amount={want.spec['amount']}USD", *rules)
    where = (f"--billing-account={place.billing}", f"--filter-projects=projects/{place.project}")
    return one("billing", "budgets", "create", *where, *said)


def change_budget(_place: Place, want: Resource, there: Spec) -> tuple[Command, ...]:
    return one("billing", "budgets", "update", str(there["id"]), f"--budget-amount={want.spec['amount']}USD")
