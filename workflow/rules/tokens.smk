rule tokenize:
    """The token ids of a collection's passages or queries under one tokenizer."""
    input:
        checkpoint="data/backbones/{backbone}/made.json",
        texts="data/corpora/{side}/{collection}.parquet",
    output:
        "data/tokens/{backbone}/{side}/{collection}.arrow",
    log:
        "logs/tokens/{backbone}/{side}/{collection}.log",
    params:
        code=code("tokenize"),
        settings=settings("tokenize", "{backbone}/{side}/{collection}"),
    shell:
        "redistil tokenize {input.checkpoint} {input.texts} {output} {params.settings}"
        " --threads {threads} 2> {log}"


rule tokens:
    """The token ids of every test collection under every tokenizer of the grid."""
    input:
        every("data/tokens/{backbone}/queries/{dataset}.arrow", "tokens"),
        every("data/tokens/{backbone}/passages/{corpus}.arrow", "tokens"),
