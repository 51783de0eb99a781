rule adopt:
    """A re-ranker that others trained, as a model: its head is checked, its lengths are declared."""
    input:
        lambda w: "data/backbones/{}/made.json".format(
            config["teachers"][w.adopted]["checkpoint"]
        ),
    output:
        "data/teachers/models/{adopted}/model.safetensors",
        made="data/teachers/models/{adopted}/made.json",
    log:
        "logs/teachers/models/{adopted}.log",
    params:
        code=code("adopt"),
        settings=settings("adopt", "{adopted}"),
    shell:
        "redistil adopt {input} $(dirname {output.made}) {params.settings} 2> {log}"


rule score:
    """A teacher's raw logit for every pair of the triples and lists it teaches on."""
    input:
        model=lambda w: f"{teacher_model(w.scored)[0]}/made.json",
        weights=lambda w: f"{teacher_model(w.scored)[0]}/model.safetensors",
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
        code=code("score"),
        settings=settings("score", "{scored}"),
        over=lambda w, input: " ".join(f"--over {path}" for path in input.over),
    shell:
        "redistil score {input.model} {input.queries} {input.passages} {output} {params.over}"
        " {params.settings} --threads {threads} 2> {log}"


rule average:
    """An ensemble: the plain mean of its members' raw logits."""
    input:
        lambda w: expand(
            "data/teachers/{member}.parquet", member=study.members(STUDY, w.averaged)
        ),
    output:
        scores="data/teachers/{averaged}.parquet",
        agreement="data/teachers/{averaged}.json",
    log:
        "logs/teachers/{averaged}.log",
    params:
        code=code("average"),
        settings=settings("average", "{averaged}"),
    shell:
        "redistil average {output.scores} {output.agreement} {input} {params.settings} 2> {log}"


rule import_scores:
    """Teacher scores that others published, with the triples or lists they belong to."""
    input:
        published=downloaded_scores(),
        queries=training("data/corpora/queries/{dataset}.parquet"),
        passages=training("data/corpora/passages/{corpus}.parquet"),
        test=test_queries(same_corpus=True),
        elsewhere=test_queries(same_corpus=False),
        checked=downloaded_scores(".json"),
    output:
        scores="data/teachers/{published}.parquet",
        pairs="data/negatives/{published}.parquet",
    log:
        "logs/teachers/{published}.log",
    threads: 2
    params:
        code=code("import-scores"),
        settings=settings("import-scores", "{published}"),
        apart=kept_apart,
    shell:
        "redistil import-scores {input.published} {input.queries} {input.passages} {output.scores}"
        " {output.pairs} {params.settings} {params.apart} --threads {threads} 2> {log}"


rule rank:
    """Listwise rankings by a large language model, with the lists they order."""
    input:
        checkpoint=lambda w: "data/backbones/{}/made.json".format(
            config["teachers"][w.ranked]["llm"]
        ),
        candidates=lambda w: "data/candidates/{}/{}.parquet".format(
            config["teachers"][w.ranked]["first_stage"],
            config["negatives"][w.ranked]["dataset"],
        ),
        queries=training("data/corpora/queries/{dataset}.parquet"),
        passages=training("data/corpora/passages/{corpus}.parquet"),
        test=test_queries(same_corpus=True),
        elsewhere=test_queries(same_corpus=False),
    output:
        scores="data/teachers/{ranked}.parquet",
        lists="data/negatives/{ranked}.parquet",
        answers="data/teachers/{ranked}.json",
    log:
        "logs/teachers/{ranked}.log",
    resources:
        gpu=GPU,
    params:
        code=code("rank"),
        settings=settings("rank", "{ranked}"),
        apart=kept_apart,
    shell:
        "redistil rank {input.checkpoint} {input.candidates} {input.queries} {input.passages}"
        " {output.scores} {output.lists} {output.answers} {params.settings} {params.apart}"
        " --threads {threads} 2> {log}"


rule teachers:
    """The scores of every teacher that a loss of the grid learns from."""
    input:
        [
            named("data/teachers/{teacher}.parquet")({"loss": loss})
            for loss in GRID["losses"]
        ],
