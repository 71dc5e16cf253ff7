"""A browser's microphone as a caller: `/ws/voice`. The same session, flow and tools as a phone call; only the line is
another one."""
