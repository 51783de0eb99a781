rule mine:
    """Hard negatives of the training queries, from the first stage's candidates."""
    input:
        candidates=named("data/candidates/{first_stage}/{dataset}.parquet"),
        queries=named("data/corpora/queries/{dataset}.parquet"),
        qrels=named("data/corpora/qrels/{dataset}.parquet"),
        passages=named("data/corpora/passages/{corpus}.parquet"),
        test=test_queries(same_corpus=True),
        elsewhere=test_queries(same_corpus=False),
    output:
        "data/negatives/{negatives}.parquet",
    log:
        "logs/negatives/{negatives}.log",
    wildcard_constraints:
        negatives=of_kind("negatives", "kind"),
    params:
        code=code("mine"),
        settings=settings("mine", "{negatives}"),
        apart=kept_apart,
    shell:
        "redistil mine {input.candidates} {input.queries} {input.qrels} {output} {params.settings}"
        " --passages {input.passages} {params.apart} 2> {log}"


rule export_docpairs:
    """A random sample of the triples that a collection brings along."""
    input:
        queries=training("data/corpora/queries/{dataset}.parquet"),
        test=test_queries(same_corpus=True),
        elsewhere=test_queries(same_corpus=False),
    output:
        "data/negatives/{docpairs}.parquet",
    log:
        "logs/negatives/{docpairs}.log",
    resources:
        docstore=1,
    params:
        code=code("export-docpairs"),
        settings=settings("export-docpairs", "{docpairs}"),
        apart=kept_apart,
    shell:
        "redistil export-docpairs {input.queries} {output} {params.settings} {params.apart} 2> {log}"


rule negatives:
    """What every loss of the grid trains on."""
    input:
        [
            named("data/negatives/{negatives}.parquet")({"loss": loss})
            for loss in GRID["losses"]
        ],
