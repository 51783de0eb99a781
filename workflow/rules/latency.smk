rule time:
    """What a student costs those who use it: its first training, alone on the machine, last."""
    input:
        model=named("results/{study}/models/{student}/{loss}/{seed}/made.json", "timed"),
        weights=named(
            "results/{study}/models/{student}/{loss}/{seed}/model.safetensors", "timed"
        ),
        queries=named("data/tokens/{backbone}/queries/{dataset}.arrow", "timed"),
        passages=named("data/tokens/{backbone}/passages/{corpus}.arrow", "timed"),
    output:
        "results/{study}/latency/{student}.json",
    log:
        "logs/{study}/latency/{student}.log",
    priority: -1  # when nothing else is ready
    threads: workflow.cores or 1  # all, so that nothing runs beside it
    resources:
        gpu=1,
    params:
        code=code("time"),
        settings=settings("time", "{student}"),
    shell:
        "redistil time {input.model} {input.queries} {input.passages} {output}"
        " {params.settings} --threads {threads} 2> {log}"


rule latency:
    """The latency of every student, where the study asks for it."""
    input:
        every("results/{study}/latency/{student}.json", "timed"),
