rule embed:
    """What a trained student computes of the passages of a part of a corpus."""
    input:
        model="results/{study}/models/{student}/{loss}/{seed}/made.json",
        weights="results/{study}/models/{student}/{loss}/{seed}/model.safetensors",
        tokens=named("data/tokens/{backbone}/passages/{corpus}.arrow"),
    output:
        "results/{study}/vectors/{student}/{loss}/{seed}/{corpus}/{shard}.arrow",
    log:
        "logs/{study}/vectors/{student}/{loss}/{seed}/{corpus}/{shard}.log",
    resources:
        gpu=1,
    params:
        code=code("embed"),
        settings=settings("embed", "{student}/{loss}/{seed}/{corpus}/{shard}"),
    shell:
        "redistil embed {input.model} {input.tokens} {output} {params.settings}"
        " --threads {threads} 2> {log}"


rule search:
    """The run of a student that searches the whole corpus."""
    input:
        model="results/{study}/models/{student}/{loss}/{seed}/made.json",
        weights="results/{study}/models/{student}/{loss}/{seed}/model.safetensors",
        tokens=named("data/tokens/{backbone}/queries/{dataset}.arrow"),
        vectors=named(
            "results/{study}/vectors/{student}/{loss}/{seed}/{corpus}/{shard}.arrow",
            "vectors",
        ),
    output:
        "results/{study}/runs/retrieved/{student}/{loss}/{seed}/{dataset}.parquet",
    log:
        "logs/{study}/runs/retrieved/{student}/{loss}/{seed}/{dataset}.log",
    params:
        code=code("search"),
        settings=settings("search", "retrieved/{student}/{loss}/{seed}/{dataset}"),
    shell:
        "redistil search {input.model} {input.tokens} {output} {input.vectors}"
        " {params.settings} --threads {threads} 2> {log}"


rule retrieved:
    """The runs of every student that searches."""
    input:
        every(
            "results/{study}/runs/retrieved/{student}/{loss}/{seed}/{dataset}.parquet",
            "searches",
        ),
