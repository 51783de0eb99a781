"""What a study asks for: pure functions of its settings."""
