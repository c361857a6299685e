"""`make bench`: every benchmark, one after the other, each with the settings whose figures the docs quote.

python -m benchmarks.run [--only NAME ...] [--list]
"""

import argparse
import subprocess
import sys

ALL = {
    "vision": "a ViT forward against transformers' (about 5 minutes)",
    "vlm": "LLaVA and BLIP-2 against transformers': first token, further ones, a training step (about 15 minutes)",
    "together": "eight answers made together against one at a time (about 3 minutes)",
    "llama_cpp": "the default language model by llama.cpp against transformers (about 5 minutes)",
    "training": "the loop over bare PyTorch, kept features against an encoder that runs (about 15 minutes)",
    "feature_cache": "writing, reading and sharing kept features (about 5 minutes)",
    "arranging": "padding and cost of a token, by how batches are arranged (about 3 minutes)",
    "activations": "peak memory with activations kept and computed again (about 3 minutes)",
    "index_throughput": "pictures/s of indexing against a plain loop (about 10 minutes)",
    "exact_scan": "an exact query against reading the bytes (about 1 minute)",
    "index_memory": "peak memory against the number of photos (about 2 minutes)",
    "hostile_folder": "10,000 hostile files (about 5 minutes)",
    "kills": "kill -9 at 200 random moments (about 5 minutes)",
    "serve_overhead": "the server's time to the first text against the backend's own (about 2 minutes)",
    "serve_load": "200 clients before one server for a minute (about 2 minutes)",
    "embedder": "the default embedder on unseen concepts: needs OPENMOJI (about 40 minutes, 5 from the cache)",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=ALL, default=list(ALL))
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if options.list:
        for name, what in ALL.items():
            print(f"{name:18} {what}")
        return
    failed = []
    for name in options.only:
        print(f"\n== {name}: {ALL[name]}", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode:
            failed.append(name)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
