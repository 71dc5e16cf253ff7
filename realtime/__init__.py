"""What a call is, where it is kept, and how its changes travel. Knows no vendor but Google."""
