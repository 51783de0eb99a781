rule export_passages:
    """The passages of a corpus."""
    input:
        lambda w: placed.as_inputs(passage_files(w)),
    output:
        "data/corpora/passages/{corpus}.parquet",
    log:
        "logs/corpora/passages/{corpus}.log",
    resources:
        docstore=lambda w: int("irds" in config["corpora"][w.corpus]),
    params:
        code=reading(code("export-passages"), passage_files),
        settings=settings("export-passages", "{corpus}"),
    shell:
        "redistil export-passages {output} {params.settings} 2> {log}"


rule export_queries:
    """The queries of a dataset and their judgements."""
    input:
        lambda w: placed.as_inputs(query_files(w)),
        passages=named("data/corpora/passages/{corpus}.parquet", "judged passages"),
        others=named("data/corpora/queries/{dataset}.parquet", "without"),
    output:
        queries="data/corpora/queries/{dataset}.parquet",
        qrels="data/corpora/qrels/{dataset}.parquet",
        counts="data/corpora/counts/{dataset}.parquet",
    log:
        "logs/corpora/queries/{dataset}.log",
    resources:
        docstore=lambda w: int("irds" in config["datasets"][w.dataset]),
    params:
        code=reading(code("export-queries"), query_files),
        passages=repeated("--passages", "passages"),
        others=repeated("--without", "others"),
        settings=settings("export-queries", "{dataset}"),
    shell:
        "redistil export-queries {output.queries} {output.qrels} {params.passages} {params.others}"
        " {params.settings} --counts {output.counts} 2> {log}"


rule corpora:
    """Every collection that is tested on."""
    input:
        every("data/corpora/passages/{corpus}.parquet", "datasets"),
        every("data/corpora/queries/{dataset}.parquet", "datasets"),
        every("data/corpora/qrels/{dataset}.parquet", "datasets"),
