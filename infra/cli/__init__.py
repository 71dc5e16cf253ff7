"""The commands: `python3 run.py VERB`. A module a group of verbs; what a verb does lives in the rooms below."""
