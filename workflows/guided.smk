"""The guided rows of the alanine dipeptide benchmark: `make benchmark`, or `snakemake -s workflows/guided.smk --cores 2`.

Per seed: guided paths along the spacetime geodesic, and steered MD on straight lines, the short way round and the best route's, at equal cost. Then the ratio of
guided to bare OpenMM steps per second, and one table. Runs of several seeds each use every core, so they run one after the other.
"""

OUT = config.get("out", "runs/benchmark")
SYSTEM = config.get("system", "alanine_dipeptide")
SEEDS = [int(s) for s in str(config.get("seeds", "1,2,3")).split(",")]
PATHS = int(config.get("paths", 300))
STEPS = int(config.get("steps", 380_000))  # of each of the 4 walks in A that the thermal reference is cut from


rule all:
    input:
        f"{OUT}/table.md",


rule run:
    output:
        f"{OUT}/seed_{{seed}}/summary.json",
    threads: workflow.cores
    shell:
        "spacetime-tps run {SYSTEM} --out {OUT}/seed_{wildcards.seed} --seed {wildcards.seed} --guided {PATHS} --steered {PATHS}"
        " --set training.steps_a={STEPS} --set workers={threads}"


rule throughput:
    input:
        f"{OUT}/seed_{{seed}}/summary.json",
    output:
        f"{OUT}/seed_{{seed}}/throughput.txt",
    threads: workflow.cores
    shell:
        "spacetime-tps throughput {OUT}/seed_{wildcards.seed} --pairs 40 > {output}"


rule table:
    input:
        expand(f"{OUT}/seed_{{seed}}/{{file}}", seed=SEEDS, file=["summary.json", "throughput.txt"]),
    output:
        f"{OUT}/table.md",
    params:
        folders=" ".join(f"{OUT}/seed_{s}" for s in SEEDS),
    shell:
        "spacetime-tps compare {params.folders} --out {output} && cat {OUT}/seed_*/throughput.txt >> {output}"
