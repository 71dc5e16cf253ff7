"""The conversation manager: flows as data, intents, slots, escalation. Pure: time and results come in as input."""
