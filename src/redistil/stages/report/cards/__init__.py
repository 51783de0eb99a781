"""Model cards, and folders ready for a hub."""
