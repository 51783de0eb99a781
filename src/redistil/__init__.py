"""redistil: how should a re-ranker be taught? A reproducible data-and-results pipeline."""
