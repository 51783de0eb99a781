"""Files: tables with contracts, records, token files, streams."""
