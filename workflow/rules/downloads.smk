rule download:
    """A published file, as it is, with the checksum it must have."""
    output:
        "data/downloads/{file}",
    log:
        "logs/downloads/{file}.log",
    wildcard_constraints:
        file="|".join(config["downloads"]),
    retries: 2
    params:
        settings=settings("download", "{file}"),
    shell:
        "redistil download {output} {params.settings} 2> {log}"
