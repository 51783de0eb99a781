rule rerank:
    """The first stage's candidates in the order of a trained model."""
    input:
        candidates=f"data/candidates/{GRID['first_stage']}/{{dataset}}.parquet",
        model="results/{study}/models/{student}/{loss}/{seed}/made.json",
        weights="results/{study}/models/{student}/{loss}/{seed}/model.safetensors",
        queries=named("data/tokens/{backbone}/queries/{dataset}.arrow"),
        passages=named("data/tokens/{backbone}/passages/{corpus}.arrow"),
    output:
        "results/{study}/runs/{student}/{loss}/{seed}/{dataset}.parquet",
    log:
        "logs/{study}/runs/{student}/{loss}/{seed}/{dataset}.log",
    resources:
        gpu=GPU,
    params:
        code=code("rerank"),
        settings=settings("rerank", "{student}/{loss}/{seed}/{dataset}"),
    shell:
        "redistil rerank {input.candidates} {output}"
        " --member {input.model} {input.queries} {input.passages}"
        " {params.settings} --threads {threads} 2> {log}"


rule rerank_teacher:
    """The candidates in the order of a teacher: the mean logit of its members."""
    input:
        candidates=f"data/candidates/{GRID['first_stage']}/{{dataset}}.parquet",
        models=named("{model}/made.json", "members"),
        weights=named("{model}/model.safetensors", "members"),
        queries=named("data/tokens/{backbone}/queries/{dataset}.arrow", "members"),
        passages=named("data/tokens/{backbone}/passages/{corpus}.arrow", "members"),
    output:
        "results/{study}/runs/{teacher}/{dataset}.parquet",
    log:
        "logs/{study}/runs/{teacher}/{dataset}.log",
    resources:
        gpu=GPU,
    params:
        code=code("rerank"),
        settings=settings("rerank", "{teacher}/{dataset}"),
        members=each(
            "--member {model}/made.json data/tokens/{backbone}/queries/{dataset}.arrow"
            " data/tokens/{backbone}/passages/{corpus}.arrow",
            "members",
        ),
    shell:
        "redistil rerank {input.candidates} {output} {params.members} {params.settings}"
        " --threads {threads} 2> {log}"


rule shuffle:
    """The candidates in random order: the floor of every table."""
    input:
        f"data/candidates/{GRID['first_stage']}/{{dataset}}.parquet",
    output:
        "results/{study}/runs/random/{seed}/{dataset}.parquet",
    log:
        "logs/{study}/runs/random/{seed}/{dataset}.log",
    params:
        code=code("shuffle"),
        settings=settings("shuffle", "random/{seed}/{dataset}"),
    shell:
        "redistil shuffle {input} {output} {params.settings} 2> {log}"


rule runs:
    """Every re-ranked run of the grid."""
    input:
        every("results/{study}/runs/{student}/{loss}/{seed}/{dataset}.parquet", "runs"),
