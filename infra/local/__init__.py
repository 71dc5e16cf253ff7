"""The whole system on one machine: the gateway, the functions, the embedded store and bus, and callers to try it."""
