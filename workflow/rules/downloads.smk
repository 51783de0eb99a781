rule download:
    """A published file, as it is, and the record that it has the checksum it must have.

    A file put in place by hand has no record yet: it is kept (`update`), and checked.
    """
    output:
        file=update("data/downloads/{file}"),
        checked="data/downloads/{file}.json",
    log:
        "logs/downloads/{file}.log",
    retries: 2
    params:
        settings=lambda w: artefacts.flags(SETTINGS["download", w.file]),
    shell:
        "redistil download {output.file} {output.checked} {params.settings} 2> {log}"


rule downloads:
    """All that a study has from the network: published files, collections, checkpoints, triples."""
    input:
        every("data/downloads/{file}.json", "files"),
        every("data/corpora/passages/{corpus}.parquet", "collections"),
        every("data/corpora/queries/{dataset}.parquet", "collections"),
        every("data/backbones/{fetched}/made.json", "fetched"),
        every("data/negatives/{docpairs}.parquet", "docpairs"),
