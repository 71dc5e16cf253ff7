"""The microphone of a browser as a caller."""
