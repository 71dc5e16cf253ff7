"""What other people's programs may take along: nothing here imports anything of Callboard."""
