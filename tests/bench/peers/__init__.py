"""Other people's gateways, for the voice bench, each in a virtual environment of its own that the bench makes."""
