# How should a re-ranker be taught? `snakemake` reproduces the study that params.yaml names.
# One stage and what it needs: `snakemake corpora` (or backbones, tokens, ... report). What would run: `snakemake -n`.


configfile: "params.yaml"  # on top of it, in common.smk: studies/<study>.yaml


rule all:
    """The leaderboard, the figures and the page of the study."""
    input:
        leaderboard=f"results/{config['study']}/report/tables/leaderboard.csv",
        figures=f"results/{config['study']}/report/figures/made.json",
        page=f"results/{config['study']}/report/index.html",


include: "workflow/machine.smk"
include: "workflow/rules/common.smk"
include: "workflow/rules/downloads.smk"
include: "workflow/rules/corpora.smk"
include: "workflow/rules/backbones.smk"
include: "workflow/rules/tokens.smk"
include: "workflow/rules/candidates.smk"
include: "workflow/rules/negatives.smk"
include: "workflow/rules/teachers.smk"
include: "workflow/rules/models.smk"
include: "workflow/rules/retrieved.smk"
include: "workflow/rules/runs.smk"
include: "workflow/rules/measures.smk"
include: "workflow/rules/latency.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/exports.smk"


onstart:
    before_the_first_job()


onsuccess:
    say_what_was_made(rules.all.input)
