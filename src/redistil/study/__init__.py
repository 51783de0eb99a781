"""Settings of a study, and pure functions of them."""
