"""Runs of students that search: passages are encoded once, exact search answers the queries."""
