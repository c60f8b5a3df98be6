"""Does an encoder pretrained for a quarter of an hour on 2 CPU cores make a better classifier?

    groundup train recipes/pretrain-en.yaml && groundup train recipes/pretrain-zh.yaml
    python benchmarks/does_pretraining_help.py --seeds 1 2 3 --jobs 2

Each task is fine-tuned from fresh weights and from the pretrained encoder, everything else equal, with the same seeds.
The figure is the accuracy on the development set at the last step, so that nothing was chosen on it. The interval of a
mean is Student's t over the seeds; the interval of the difference is over pairs of runs with the same seed. Runs that
are finished already are read, not repeated. Needs GROUNDUP_DATA.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from groundup.metrics.interval import difference_interval, mean_interval

TASKS = {"SST-2": "sst2", "ChnSentiCorp": "chnsenticorp"}
ARMS = {"fresh weights": "", "pretrained": "-pretrained"}


def run(recipe: str, seed: int, threads: int) -> dict[str, float]:
    """Train one run and read its last validation."""
    folder = Path("runs") / f"{recipe}-seed{seed}"
    command = [sys.executable, "-m", "groundup", "train", f"recipes/{recipe}.yaml", f"seed={seed}", f"output={folder}"]
    log = folder.with_suffix(".log")
    log.parent.mkdir(exist_ok=True)
    with log.open("w") as file:
        subprocess.run([*command, f"train.threads={threads}"], check=True, stdout=file, stderr=file)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    last = [line for line in lines if line["kind"] == "evaluation"][-1]
    seconds = [line["time"]["seconds"] for line in lines if line["kind"] == "train"][-1]
    accuracy = last["metrics"]["accuracy"]
    print(f"{folder}: accuracy {accuracy['value']:.4f} of {accuracy['count']} rows", file=sys.stderr, flush=True)
    return {"accuracy": accuracy["value"], "rows": accuracy["count"], "seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument("--threads", type=int, default=1, help="threads of a run")
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--output", type=Path, help="a JSON file to write")
    options = parser.parse_args()
    names = [(task, arm, seed) for task in options.tasks for seed in options.seeds for arm in ARMS]
    with ThreadPoolExecutor(options.jobs) as pool:
        outcomes = pool.map(lambda name: run(TASKS[name[0]] + ARMS[name[1]], name[2], options.threads), names)
        runs = dict(zip(names, outcomes, strict=True))
    result: dict[str, object] = {"command": "python " + " ".join(sys.argv), "seeds": options.seeds, "tasks": {}}
    for task in options.tasks:
        scores = {arm: np.array([runs[task, arm, seed]["accuracy"] for seed in options.seeds]) for arm in ARMS}
        entry: dict[str, object] = {"development_rows": runs[task, "pretrained", options.seeds[0]]["rows"]}
        for arm, values in scores.items():
            mean, low, high = mean_interval(values)
            entry[arm] = {"accuracy": values.round(4).tolist(), "mean": mean, "low": low, "high": high}
        gain, low, high = difference_interval(scores["pretrained"], scores["fresh weights"])
        entry["gain"] = {"mean": gain, "low": low, "high": high}
        result["tasks"][task] = entry  # type: ignore[index]
    text = json.dumps(result, indent=1)
    print(text)
    if options.output:
        options.output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
