rule rerank:
    """The first stage's candidates in the order of a trained model."""
    input:
        candidates=f"data/candidates/{GRID['first_stage']}/{{dataset}}.parquet",
        model="results/{study}/models/{student}/{loss}/{seed}/made.json",
        weights="results/{study}/models/{student}/{loss}/{seed}/model.safetensors",
        queries=named("data/tokens/{backbone}/queries/{dataset}.arrow"),
        passages=named("data/tokens/{backbone}/passages/{corpus}.arrow"),
        states=named(
            "results/{study}/vectors/{student}/{loss}/{seed}/{corpus}/{shard}.arrow",
            "states",
        ),
    output:
        "results/{study}/runs/{student}/{loss}/{seed}/{dataset}.parquet",
    log:
        "logs/{study}/runs/{student}/{loss}/{seed}/{dataset}.log",
    resources:
        gpu=1,
    params:
        code=code("rerank"),
        settings=settings("rerank", "{student}/{loss}/{seed}/{dataset}"),
        states=repeated("--states", "states"),
    shell:
        "redistil rerank {input.candidates} {input.model} {input.queries} {input.passages} {output}"
        " {params.states} {params.settings} --threads {threads} 2> {log}"


rule rerank_teacher:
    """The candidates in the order of a teacher that is a model."""
    input:
        candidates=f"data/candidates/{GRID['first_stage']}/{{dataset}}.parquet",
        model=named("{model}/made.json", "members"),
        weights=named("{model}/model.safetensors", "members"),
        queries=named("data/tokens/{backbone}/queries/{dataset}.arrow", "members"),
        passages=named("data/tokens/{backbone}/passages/{corpus}.arrow", "members"),
    output:
        "results/{study}/runs/{scored}/{dataset}.parquet",
    log:
        "logs/{study}/runs/{scored}/{dataset}.log",
    resources:
        gpu=1,
    params:
        code=code("rerank"),
        settings=settings("rerank", "{scored}/{dataset}"),
    shell:
        "redistil rerank {input.candidates} {input.model} {input.queries} {input.passages} {output}"
        " {params.settings} --threads {threads} 2> {log}"


use rule rerank_teacher as rerank_checkpoint with:
    output:
        "results/{study}/runs/{adopted}/{dataset}.parquet",
    log:
        "logs/{study}/runs/{adopted}/{dataset}.log",
    params:
        code=code("rerank"),
        settings=settings("rerank", "{adopted}/{dataset}"),


rule rerank_bm25:
    """The candidates in BM25's order."""
    input:
        candidates=f"data/candidates/{GRID['first_stage']}/{{dataset}}.parquet",
        queries="data/corpora/queries/{dataset}.parquet",
        passages=named("data/corpora/passages/{corpus}.parquet"),
    output:
        "results/{study}/runs/{lexical}/{dataset}.parquet",
    log:
        "logs/{study}/runs/{lexical}/{dataset}.log",
    params:
        code=code("rerank-bm25"),
        settings=settings("rerank-bm25", "{lexical}/{dataset}"),
    shell:
        "redistil rerank-bm25 {input.candidates} {input.queries} {input.passages} {output}"
        " {params.settings} 2> {log}"


rule fuse:
    """The candidates in the order of an ensemble: by the mean score of its members' runs."""
    input:
        named("results/{study}/runs/{member}/{dataset}.parquet", "members"),
    output:
        "results/{study}/runs/{averaged}/{dataset}.parquet",
    log:
        "logs/{study}/runs/{averaged}/{dataset}.log",
    params:
        code=code("fuse"),
        settings=settings("fuse", "{averaged}/{dataset}"),
    shell:
        "redistil fuse {output} {input} {params.settings} 2> {log}"


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
