rule fetch:
    """A checkpoint from the hub at its revision, or from a local folder: the only door to the hub."""
    input:
        lambda w: placed.as_inputs(folder_files(w)),
    output:
        # the weights of a large one lie in several files
        "data/backbones/{fetched}/made.json",
    log:
        "logs/backbones/{fetched}.log",
    retries: 2
    params:
        code=reading(code("fetch"), folder_files),
        settings=settings("fetch", "{fetched}"),
    shell:
        "redistil fetch data/backbones/{wildcards.fetched} {params.settings} 2> {log}"


rule build:
    """A tiny checkpoint made here: tokenizer, mimetic initialisation, warm-up."""
    input:
        passages=named("data/corpora/passages/{corpus}.parquet"),
        queries=named("data/corpora/queries/{dataset}.parquet"),
        qrels=named("data/corpora/qrels/{dataset}.parquet"),
        test=named("data/corpora/queries/{dataset}.parquet", "tests"),
        elsewhere=named("data/corpora/queries/{dataset}.parquet", "tests elsewhere"),
    output:
        "data/backbones/{built}/model.safetensors",
        "data/backbones/{built}/made.json",
    log:
        "logs/backbones/{built}.log",
    params:
        code=code("build"),
        settings=settings("build", "{built}"),
        test=repeated("--test", "test"),
        elsewhere=repeated("--test-elsewhere", "elsewhere"),
    shell:
        "redistil build {input.passages} {input.queries} {input.qrels}"
        " data/backbones/{wildcards.built} {params.settings} {params.test} {params.elsewhere} --threads {threads}"
        " 2> {log}"


rule collect_words:
    """The words of corpora, each with a vector: what TK starts from."""
    input:
        passages=named("data/corpora/passages/{corpus}.parquet", "words of"),
        vectors=lambda w: placed.as_inputs(
            placed.vectors(config["backbones"][w.worded])
        ),
    output:
        "data/backbones/{worded}/model.safetensors",
        "data/backbones/{worded}/made.json",
    log:
        "logs/backbones/{worded}.log",
    params:
        code=code("collect-words"),
        settings=settings("collect-words", "{worded}"),
    shell:
        "redistil collect-words data/backbones/{wildcards.worded} {input.passages} {params.settings} 2> {log}"


rule backbones:
    """Every checkpoint of the grid: re-rankers of others, and what its students start from."""
    input:
        every("data/backbones/{backbone}/made.json", "readers"),
