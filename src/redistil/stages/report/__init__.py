"""What the study found: tables, tests, figures and one page, from the values of every system."""
