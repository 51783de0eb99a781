rule tokenize:
    """The token ids of a collection's passages or queries under one tokenizer."""
    input:
        checkpoint="data/backbones/{backbone}/made.json",
        texts="data/corpora/{side}/{collection}.parquet",
    output:
        "data/tokens/{backbone}/{side}/{collection}.arrow",
    log:
        "logs/tokens/{backbone}/{side}/{collection}.log",
    wildcard_constraints:
        side="passages|queries",
    params:
        code=code("tokenize"),
        settings=settings("tokenize", "{backbone}/{side}/{collection}"),
    shell:
        "redistil tokenize {input.checkpoint} {input.texts} {output} {params.settings}"
        " --threads {threads} 2> {log}"


rule tokens:
    """The token ids of every test collection under every tokenizer of the grid."""
    input:
        [
            named(f"data/tokens/{{backbone}}/{side}.arrow")(
                {"student": s, "dataset": d}
            )
            for side in ("queries/{dataset}", "passages/{corpus}")
            for s in GRID["students"]
            for d in GRID["datasets"]
        ],
