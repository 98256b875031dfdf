#!/bin/sh
# Train the embedded model on, on a machine with a GPU that is lent for some minutes and keeps nothing.
#
#   sh tools/train_on_gpu.sh PIECES OUT MINUTES [options of mien train]
#
# PIECES is a folder of zips that together hold the training images, each as small as the way there wants it, with their
# backgrounds blurred (mien dataset --blurred-background). What an earlier call left in OUT (model.part-*, sums.txt) may lie
# there too, and is continued. Without it training starts from the embedded model.
# OUT then holds the model in half precision, in parts of at most 15 MB with checksums, samples and statistics; no optimizer
# moments: every call begins with slow steps, and ends with a learning rate near 0.
# The settings are in tools/train_on_gpu.toml. In the environment, CONFIG names another file with settings, SOURCE another model
# to start from, PYTHON another Python.
# It needs torch, numpy, Pillow, safetensors, typer and rich. Try one minute before a long run.
set -eu
pieces=$1 out=$2 minutes=$3
shift 3
python=${PYTHON:-python3}
here=$(dirname "$0")
export PYTHONPATH="$here/../src${PYTHONPATH:+:$PYTHONPATH}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for piece in "$pieces"/*.zip; do
    "$python" -m zipfile -e "$piece" "$work/images"
done
source=${SOURCE:-$here/../src/mien/data/faces.safetensors}
if [ -e "$pieces/sums.txt" ]; then
    (cd "$pieces" && sha256sum --check --quiet sums.txt)
    source=$work/begun.safetensors
    cat "$pieces"/model.part-* > "$source"
fi

"$python" -m mien train "$work/images" -o "$work/run" --config "${CONFIG:-$here/train_on_gpu.toml}" --from "$source" \
    --max-minutes "$minutes" "$@"

mkdir -p "$out"
"$python" -m mien convert "$work/run/model.safetensors" "$work/model.safetensors" --half
rm -f "$out"/model.part-*
split -b 15000000 "$work/model.safetensors" "$out/model.part-"
(cd "$out" && sha256sum model.part-* > sums.txt)
cp -R "$work/run/samples" "$work/run/stats.jsonl" "$work/run/index.html" "$out"
