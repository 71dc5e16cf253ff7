"""What a system costs: Google's part from prices with their dates, the vendors' part beside it."""
