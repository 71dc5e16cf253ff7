"""The dashboard in a real Chromium, driven by clicks."""
