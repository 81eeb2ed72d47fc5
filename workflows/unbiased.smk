"""The unbiased rows of the alanine dipeptide benchmark: `make unbiased`, or `snakemake -s workflows/unbiased.smk --cores 2`.

Two rounds of windows, whether the curve has settled or not: a pilot finds the top for itself.
"""

OUT = config.get("out", "runs/unbiased")
SYSTEM = config.get("system", "alanine_dipeptide")
SEEDS = [int(s) for s in str(config.get("seeds", "1,2,3")).split(",")]
PATHS = int(config.get("paths", 1000))


rule all:
    input:
        f"{OUT}/table.md",


rule run:
    output:
        f"{OUT}/seed_{{seed}}/summary.json",
    threads: workflow.cores
    shell:
        "spacetime-tps run {SYSTEM} --guided 0 --unbiased {PATHS} --seed {wildcards.seed} --set rounds.max_rounds=2"
        " --set workers={threads} --out {OUT}/seed_{wildcards.seed}"


rule table:
    input:
        expand(f"{OUT}/seed_{{seed}}/summary.json", seed=SEEDS),
    output:
        f"{OUT}/table.md",
    params:
        folders=" ".join(f"{OUT}/seed_{s}" for s in SEEDS),
    shell:
        "spacetime-tps compare {params.folders} --out {output}"
