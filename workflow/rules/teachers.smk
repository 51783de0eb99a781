rule adopt:
    """A re-ranker that others trained, as a model: its head is checked, its lengths are declared."""
    input:
        "data/backbones/{adopted}/made.json",
    output:
        "data/teachers/models/{adopted}/model.safetensors",
        made="data/teachers/models/{adopted}/made.json",
    log:
        "logs/teachers/models/{adopted}.log",
    params:
        code=code("adopt", lambda w: SETTINGS["adopt", w.adopted]),
        settings=settings("adopt", "{adopted}"),
    shell:
        "redistil adopt {input} $(dirname {output.made}) {params.settings} 2> {log}"


rule score:
    """A teacher's raw logit for every pair of the triples and lists it teaches on."""
    input:
        model=named("{model}/made.json", "members"),
        weights=named("{model}/model.safetensors", "members"),
        queries=named("data/tokens/{backbone}/queries/{dataset}.arrow", "members"),
        passages=named("data/tokens/{backbone}/passages/{corpus}.arrow", "members"),
        over=named("data/negatives/{over}.parquet", "over"),
    output:
        "data/teachers/{scored}.parquet",
    log:
        "logs/teachers/{scored}.log",
    resources:
        gpu=1,
    params:
        code=code("score"),
        settings=settings("score", "{scored}"),
        over=repeated("--over", "over"),
    shell:
        "redistil score {input.model} {input.queries} {input.passages} {output} {params.over}"
        " {params.settings} --threads {threads} 2> {log}"


rule score_bm25:
    """BM25's score for every pair of the triples and lists that it teaches on."""
    input:
        queries=named("data/corpora/queries/{dataset}.parquet", "members"),
        passages=named("data/corpora/passages/{corpus}.parquet", "members"),
        over=named("data/negatives/{over}.parquet", "over"),
    output:
        "data/teachers/{lexical}.parquet",
    log:
        "logs/teachers/{lexical}.log",
    params:
        code=code("score-bm25"),
        settings=settings("score-bm25", "{lexical}"),
        over=repeated("--over", "over"),
    shell:
        "redistil score-bm25 {input.queries} {input.passages} {output} {params.over}"
        " {params.settings} 2> {log}"


rule average:
    """An ensemble: the mean of its members' scores, raw or standardised."""
    input:
        named("data/teachers/{member}.parquet", "members"),
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


rule gate:
    """Whether a teacher ranks the validation queries better than what it has to beat."""
    input:
        runs=named("results/{study}/runs/{teacher}/{dataset}.parquet", "validation"),
        members=named(
            "results/{study}/runs/{member}/{dataset}.parquet", "members validated"
        ),
        baselines=named(
            "data/candidates/{first_stage}/{dataset}.parquet", "stages validated"
        ),
        qrels=named("data/corpora/qrels/{dataset}.parquet", "validation"),
    output:
        "results/{study}/gates/{teacher}/gate.json",
        made="results/{study}/gates/{teacher}/made.json",
    log:
        "logs/{study}/gates/{teacher}.log",
    params:
        code=code("gate"),
        settings=settings("gate", "{teacher}"),
        on=each(
            "--on {dataset} results/{study}/runs/{teacher}/{dataset}.parquet"
            " data/corpora/qrels/{dataset}.parquet",
            "validation",
        ),
        members=each(
            "--members {member} {dataset} results/{study}/runs/{member}/{dataset}.parquet",
            "members validated",
        ),
        baselines=each(
            "--baselines {first_stage} {dataset} data/candidates/{first_stage}/{dataset}.parquet",
            "stages validated",
        ),
    shell:
        "redistil gate $(dirname {output.made}) {params.on} {params.members} {params.baselines}"
        " {params.settings} 2> {log}"


rule import_scores:
    """Teacher scores that others published, with the triples or lists they belong to."""
    input:
        published=named("data/downloads/{file}", "import"),
        queries=named("data/corpora/queries/{dataset}.parquet"),
        passages=named("data/corpora/passages/{corpus}.parquet"),
        test=named("data/corpora/queries/{dataset}.parquet", "tests"),
        elsewhere=named("data/corpora/queries/{dataset}.parquet", "tests elsewhere"),
        checked=named("data/downloads/{file}.json", "import"),
    output:
        scores="data/teachers/{published}.parquet",
        pairs="data/negatives/{published}.parquet",
    log:
        "logs/teachers/{published}.log",
    threads: 2
    params:
        code=code("import-scores"),
        settings=settings("import-scores", "{published}"),
        test=repeated("--test", "test"),
        elsewhere=repeated("--test-elsewhere", "elsewhere"),
    shell:
        "redistil import-scores {input.published} {input.queries} {input.passages} {output.scores}"
        " {output.pairs} {params.settings} {params.test} {params.elsewhere} --threads {threads} 2> {log}"


rule rank:
    """Listwise rankings by a large language model, with the lists they order."""
    input:
        checkpoint=named("data/backbones/{checkpoint}/made.json"),
        candidates=named("data/candidates/{first_stage}/{dataset}.parquet"),
        queries=named("data/corpora/queries/{dataset}.parquet"),
        passages=named("data/corpora/passages/{corpus}.parquet"),
        test=named("data/corpora/queries/{dataset}.parquet", "tests"),
        elsewhere=named("data/corpora/queries/{dataset}.parquet", "tests elsewhere"),
    output:
        scores="data/teachers/{ranked}.parquet",
        lists="data/negatives/{ranked}.parquet",
        answers="data/teachers/{ranked}.json",
    log:
        "logs/teachers/{ranked}.log",
    resources:
        gpu=1,
    params:
        code=code("rank"),
        settings=settings("rank", "{ranked}"),
        test=repeated("--test", "test"),
        elsewhere=repeated("--test-elsewhere", "elsewhere"),
    shell:
        "redistil rank {input.checkpoint} {input.candidates} {input.queries} {input.passages}"
        " {output.scores} {output.lists} {output.answers} {params.settings} {params.test} {params.elsewhere}"
        " --threads {threads} 2> {log}"


rule teachers:
    """The scores of every teacher that a loss of the grid learns from."""
    input:
        every("data/teachers/{teacher}.parquet", "losses"),
