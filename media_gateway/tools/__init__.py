"""What the assistant can do: one file a subject, one typed function a tool, one router."""
