# One rule for each job of a profile (profiles.toml); `make reproduce` calls this, and so can you:
#   snakemake --cores all --config profile=gpu jobs=2 --dry-run
# launch: what runs a notebook on another machine, such as Slurm's srun; the light ones run here.
# Snakemake's own state lies with the runs, so that the project may be read-only.
import sys

from irnas_lib.files import ROOT, runs_folder
from irnas_lib.pipeline import marks, profiles

root = str(ROOT)
profile = config.get("profile", "smoke")
launch = config.get("launch", "")
planned = profiles.load(profile)
if workflow.is_main_process:
    marks.remove_stale(profile, [*planned, marks.figures(planned)])


workdir: str(runs_folder())


def done(name):
    """The mark of a finished job. The notebook itself must survive a failure, so it is not an output."""
    return f"{profile}/done/{name}"


rule everything:
    default_target: True
    input:
        done("figures"),


rule figures:
    input:
        [done(job.name) for job in planned],
    output:
        done("figures"),
    shell:
        "cd {root:q} && {sys.executable:q} -m irnas_lib.pipeline.batch figures {profile:q}"


for place, job in enumerate(profiles.by_worth(planned)):

    rule:
        name: job.name
        input:
            [done(name) for name in job.needs],
        output:
            done(job.name),
        params:
            job=job.name,
            launch=launch if launch and not profiles.light(job) else "",
            launched="--launched" if launch and not profiles.light(job) else "",
        # torch uses every core, so jobs that run at once share them
        threads: max(1, (workflow.cores or 1) // int(config.get("jobs", 1))),
        priority: len(planned) - place
        shell:
            "cd {root:q} && {params.launch} {sys.executable:q} -m irnas_lib.pipeline.batch run {profile:q} {params.job:q}"
            " {params.launched}"
