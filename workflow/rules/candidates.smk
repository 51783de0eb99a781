rule encode:
    """The SPLADE vectors of a stretch of a corpus."""
    input:
        checkpoint=named("data/backbones/{backbone}/made.json"),
        tokens=named("data/tokens/{backbone}/passages/{corpus}.arrow"),
    output:
        "data/candidates/{splade}/vectors/{corpus}/{shard}.parquet",
    log:
        "logs/candidates/{splade}/vectors/{corpus}/{shard}.log",
    resources:
        gpu=1,
    params:
        code=code("encode"),
        settings=settings("encode", "{splade}/{corpus}/{shard}"),
    shell:
        "redistil encode {input.checkpoint} {input.tokens} {output} {params.settings}"
        " --threads {threads} 2> {log}"


rule retrieve:
    """First-stage SPLADE run: the candidates that every re-ranker sees."""
    input:
        checkpoint=named("data/backbones/{backbone}/made.json"),
        tokens=named("data/tokens/{backbone}/queries/{dataset}.arrow"),
        qrels="data/corpora/qrels/{dataset}.parquet",
        vectors=named(
            "data/candidates/{splade}/vectors/{corpus}/{shard}.parquet", "shards"
        ),
    output:
        "data/candidates/{splade}/{dataset}.parquet",
    log:
        "logs/candidates/{splade}/{dataset}.log",
    params:
        code=code("retrieve"),
        settings=settings("retrieve", "{splade}/{dataset}"),
    shell:
        "redistil retrieve {input.checkpoint} {input.tokens} {input.qrels} {output}"
        " {input.vectors} {params.settings} --threads {threads} 2> {log}"


rule retrieve_bm25:
    """First-stage BM25 run."""
    input:
        passages=named("data/corpora/passages/{corpus}.parquet"),
        queries="data/corpora/queries/{dataset}.parquet",
        qrels="data/corpora/qrels/{dataset}.parquet",
    output:
        "data/candidates/{bm25}/{dataset}.parquet",
    log:
        "logs/candidates/{bm25}/{dataset}.log",
    params:
        code=code("retrieve-bm25"),
        settings=settings("retrieve-bm25", "{bm25}/{dataset}"),
    shell:
        "redistil retrieve-bm25 {input.passages} {input.queries} {input.qrels} {output}"
        " {params.settings} 2> {log}"


rule import_run:
    """First-stage run that others published."""
    input:
        published=named("data/downloads/{file}", "import"),
        checked=named("data/downloads/{file}.json", "import"),
        qrels="data/corpora/qrels/{dataset}.parquet",
    output:
        "data/candidates/{imported}/{dataset}.parquet",
    log:
        "logs/candidates/{imported}/{dataset}.log",
    params:
        code=code("import-run"),
        settings=settings("import-run", "{imported}/{dataset}"),
    shell:
        "redistil import-run {input.published} {input.qrels} {output} {params.settings} 2> {log}"


rule candidates:
    """The runs of every first stage of the grid."""
    input:
        every("data/candidates/{first_stage}/{dataset}.parquet", "first stages"),
