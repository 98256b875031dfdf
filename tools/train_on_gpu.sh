#!/bin/sh
# Train the embedded model on, at up to 256 px, on a machine with a GPU that is lent for some minutes and keeps nothing.
#
#   sh tools/train_on_gpu.sh PIECES OUT MINUTES [options of mien train]
#
# PIECES is a folder of zips that together hold the training pictures, each as small as the way there wants it; what an earlier call
# left in OUT (model.part-*, sums.txt) may lie there too, and is continued. Without it training starts from the embedded model.
# OUT then holds the model in half precision, in parts of at most 15 MB with checksums, samples and statistics; no optimiser moments.
# Training is at the model's resolution; STAGES=128,256 in the environment grows it. PYTHON names another Python.
# Try one minute before a long run.
set -eu
pieces=$1 out=$2 minutes=$3
shift 3
python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for piece in "$pieces"/*.zip; do
    "$python" -m zipfile -e "$piece" "$work/pictures"
done
source=src/mien/data/faces.safetensors
if [ -e "$pieces/sums.txt" ]; then
    (cd "$pieces" && sha256sum --check --quiet sums.txt)
    source=$work/begun.safetensors
    cat "$pieces"/model.part-* > "$source"
fi

"$python" -m mien train "$work/pictures" -o "$work/run" --from "$source" ${STAGES:+--grow "$STAGES"} \
    --size lean --noise off --soft-ground on --encoder-share 0.5 --encoder-pixels 12 --encoder-features 4 --encoder-identity 1.5 \
    --snapshot-minutes 4 --max-minutes "$minutes" "$@"

mkdir -p "$out"
"$python" -m mien convert "$work/run/model.safetensors" "$work/model.safetensors" --half
rm -f "$out"/model.part-*
split -b 15000000 "$work/model.safetensors" "$out/model.part-"
(cd "$out" && sha256sum model.part-* > sums.txt)
cp -R "$work/run/samples" "$work/run/stats.jsonl" "$work/run/index.html" "$out"
