"""Published models: which there are, and how a file of theirs is fetched and checked."""
