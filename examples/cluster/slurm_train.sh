#!/bin/bash
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=32
#SBATCH --gpus-per-node=4
#SBATCH --time=24:00:00
# Training on the GPUs of two nodes: torchrun starts one process per GPU. A run that is interrupted
# resumes from its last checkpoint when the same job is submitted again.
set -euo pipefail
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
srun torchrun --nnodes="$SLURM_NNODES" --nproc-per-node=4 \
    --rdzv-backend=c10d --rdzv-endpoint="$head:29500" --rdzv-id="$SLURM_JOB_ID" \
    -m modalgap train cc12m_rn50_full -o "$OUTPUT" \
    --set devices=4 --set nodes="$SLURM_NNODES"
