rule mine:
    """Hard negatives of the training queries, from the first stage's candidates."""
    input:
        candidates=named("data/candidates/{first_stage}/{dataset}.parquet"),
        qrels=named("data/corpora/qrels/{dataset}.parquet"),
    output:
        "data/negatives/{negatives}.parquet",
    log:
        "logs/negatives/{negatives}.log",
    wildcard_constraints:
        negatives=of_kind("negatives", "kind"),
    params:
        code=code("negatives"),
        settings=settings("mine", "{negatives}"),
    shell:
        "redistil mine {input.candidates} {input.qrels} {output} {params.settings} 2> {log}"


rule export_docpairs:
    """Triples that a collection brings along."""
    output:
        "data/negatives/{docpairs}.parquet",
    log:
        "logs/negatives/{docpairs}.log",
    resources:
        docstore=1,
    params:
        code=code("corpora"),
        settings=settings("export-docpairs", "{docpairs}"),
    shell:
        "redistil export-docpairs {output} {params.settings} 2> {log}"


rule negatives:
    """What every loss of the grid trains on."""
    input:
        [
            named("data/negatives/{negatives}.parquet")({"loss": loss})
            for loss in GRID["losses"]
        ],
