rule report:
    """The leaderboard, the figures and the page."""
    input:
        rules.measures.input,
