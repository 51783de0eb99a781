rule score:
    """A trained teacher's raw logit for every pair of the triples and lists it teaches on."""
    input:
        model=lambda w: "{}/models/{}/made.json".format(
            RESULTS, study.teacher_cells(config)[w.scored].name
        ),
        queries=lambda w: named("data/tokens/{backbone}/queries/{dataset}.arrow")(
            taught(w)
        ),
        passages=lambda w: named("data/tokens/{backbone}/passages/{corpus}.arrow")(
            taught(w)
        ),
        over=lambda w: expand(
            "data/negatives/{negatives}.parquet",
            negatives=config["teachers"][w.scored]["over"],
        ),
    output:
        "data/teachers/{scored}.parquet",
    log:
        "logs/teachers/{scored}.log",
    resources:
        gpu=GPU,
    params:
        code=code("teachers"),
        settings=settings("score", "{scored}"),
        over=lambda w, input: " ".join(f"--over {path}" for path in input.over),
    shell:
        "redistil score {input.model} {input.queries} {input.passages} {output} {params.over}"
        " {params.settings} --threads {threads} 2> {log}"


rule average:
    """An ensemble: the plain mean of its members' raw logits."""
    input:
        lambda w: expand(
            "data/teachers/{member}.parquet", member=study.members(config, w.averaged)
        ),
    output:
        "data/teachers/{averaged}.parquet",
    log:
        "logs/teachers/{averaged}.log",
    params:
        code=code("teachers"),
        settings=settings("average", "{averaged}"),
    shell:
        "redistil average {output} {input} {params.settings} 2> {log}"


rule import_scores:
    """Teacher scores that others published, with the triples or lists they belong to."""
    input:
        downloaded("teachers", "published"),
    output:
        scores="data/teachers/{published}.parquet",
        pairs="data/negatives/{published}.parquet",
    log:
        "logs/teachers/{published}.log",
    params:
        code=code("teachers"),
        settings=settings("import-scores", "{published}"),
    shell:
        "redistil import-scores {input[0]} {output.scores} {output.pairs} {params.settings} 2> {log}"


rule teachers:
    """The scores of every teacher that a loss of the grid learns from."""
    input:
        [
            named("data/teachers/{teacher}.parquet")({"loss": loss})
            for loss in GRID["losses"]
        ],
