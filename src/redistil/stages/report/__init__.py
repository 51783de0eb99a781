"""The findings of a study: tables, tests, figures and one page, from the values of every system."""
