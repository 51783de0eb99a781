"""How large the collections of ir_datasets are, as the library says without reading any."""


def counted(irds_id: str, what: str) -> int | None:
    """Return how many "queries" or "docs" an id has, or None where the library does not say."""
    import ir_datasets

    try:
        metadata = ir_datasets.load(irds_id).metadata() or {}
    except KeyError:
        return None
    count: int | None = metadata.get(what, {}).get("count")
    return count
