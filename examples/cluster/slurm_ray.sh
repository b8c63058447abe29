#!/bin/bash
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --gpus-per-node=4
#SBATCH --time=04:00:00
# Starts a Ray cluster on the nodes of this job and runs one command on it. The environment with modalgap[ray]
# must be active on all nodes; INPUT and OUTPUT must be on storage that all nodes share.
set -euo pipefail
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
port=6379
export RAY_USAGE_STATS_ENABLED=0
srun --nodes=1 --ntasks=1 -w "$head" \
    ray start --head --port=$port --num-cpus="$SLURM_CPUS_PER_TASK" --block &
sleep 20
srun --nodes=$((SLURM_NNODES - 1)) --ntasks=$((SLURM_NNODES - 1)) --exclude="$head" \
    ray start --address="$head:$port" --num-cpus="$SLURM_CPUS_PER_TASK" --block &
sleep 20
export RAY_ADDRESS="$head:$port"
modalgap encode "$INPUT" -m open_clip:ViT-L-14/openai --device cuda -o "$OUTPUT" --on ray
