rule mine:
    """Hard negatives of the training queries, from the first stage's candidates."""
    input:
        candidates=named("data/candidates/{first_stage}/{dataset}.parquet"),
        queries=named("data/corpora/queries/{dataset}.parquet"),
        qrels=named("data/corpora/qrels/{dataset}.parquet"),
        passages=named("data/corpora/passages/{corpus}.parquet"),
        test_qrels=named("data/corpora/qrels/{dataset}.parquet", "tests"),
        test=named("data/corpora/queries/{dataset}.parquet", "tests"),
        elsewhere=named("data/corpora/queries/{dataset}.parquet", "tests elsewhere"),
    output:
        "data/negatives/{mined}.parquet",
    log:
        "logs/negatives/{mined}.log",
    params:
        code=code("mine"),
        settings=settings("mine", "{mined}"),
        test_qrels=repeated("--test-qrels", "test_qrels"),
        test=repeated("--test", "test"),
        elsewhere=repeated("--test-elsewhere", "elsewhere"),
    shell:
        "redistil mine {input.candidates} {input.queries} {input.qrels} {output} {params.settings}"
        " --passages {input.passages} {params.test_qrels} {params.test} {params.elsewhere} 2> {log}"


rule export_docpairs:
    """A random sample of the triples that a collection brings along."""
    input:
        queries=named("data/corpora/queries/{dataset}.parquet"),
        test=named("data/corpora/queries/{dataset}.parquet", "tests"),
        elsewhere=named("data/corpora/queries/{dataset}.parquet", "tests elsewhere"),
    output:
        "data/negatives/{docpairs}.parquet",
    log:
        "logs/negatives/{docpairs}.log",
    resources:
        docstore=1,
    params:
        code=code("export-docpairs"),
        settings=settings("export-docpairs", "{docpairs}"),
        test=repeated("--test", "test"),
        elsewhere=repeated("--test-elsewhere", "elsewhere"),
    shell:
        "redistil export-docpairs {input.queries} {output} {params.settings} {params.test}"
        " {params.elsewhere} 2> {log}"


rule negatives:
    """What every loss of the grid trains on."""
    input:
        every("data/negatives/{negatives}.parquet", "losses"),
