"""Many photos at once: what is to be made, the work itself, its account, and clusters."""
