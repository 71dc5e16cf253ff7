"""`callboard.v1`: the protocol of `/ws/v1` (docs/live-events.md).

`frames` is what goes over the wire, `machine` decides (pure), `outbox` is what waits for a client (pure), `socket` is
the shell around them.
"""
