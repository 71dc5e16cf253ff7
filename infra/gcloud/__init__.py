"""How the system stands on Google Cloud, and the verbs on it, all of them through the `gcloud` command.

`resources.py` is the one file to read: every resource, and why it is there. `profiles.py` says how large. `kinds.py`
says how each kind of resource is looked at and changed, `services.py` how a service of Cloud Run is written down,
`planner.py` compares (pure), `release.py` moves traffic (pure), `up.py` and the files beside it do what they say.
"""
