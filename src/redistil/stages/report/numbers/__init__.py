"""What is measured, compared and told: no drawing, no page."""
