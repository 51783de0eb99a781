"""The numbers of the report: no drawing, no page."""
