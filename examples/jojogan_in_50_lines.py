"""JoJoGAN (Chong & Forsyth 2022) on the pieces of mien: python jojogan_in_50_lines.py REFERENCE FACE OUT [STEPS]"""

import copy
import sys

import torch
import torch.nn.functional as F

from mien.checkpoint import load_model
from mien.faces.align import extract
from mien.faces.config import AlignConfig
from mien.faces.locate import locate
from mien.inversion.encode import encode
from mien.latents import broadcast, keep_below, mix_styles, style_layers
from mien.losses.features import loss_resolutions
from mien.media.images import from_tensor, read_image, write_image
from mien.shipped import EMBEDDED_MODEL

reference_file, face_file, out_file = sys.argv[1:4]
steps, random = int(sys.argv[4]) if len(sys.argv) > 4 else 300, torch.Generator().manual_seed(0)
model = load_model(EMBEDDED_MODEL)
generator, discriminator, R = model.generator, model.discriminator.requires_grad_(False), model.resolution

# 1. Faces are cut out and become codes. Even of a drawing the encoder says a realistic face: that makes the method work.
images = [read_image(file).rgb() for file in (reference_file, face_file)]
frames = [locate(image, AlignConfig(face="largest"))[0] for image in images]
crops = [extract(image, frame, R)[0][None] for image, frame in zip(images, frames, strict=True)]
with torch.no_grad():
    reference_styles, face_styles = (generator.synthesis.styles(encode(model, crop).w_plus) for crop in crops)

# 2. Style mixing (equation 1): layers of pose and shape stay the reference's, all others will be a random face's.
random_layers = {layer.name for layer in style_layers(R)} - keep_below(R, start=16)

# 3. A copy of the generator learns to draw each such code as the reference (equation 2), by what the discriminator sees.
tuned, sizes = copy.deepcopy(generator.synthesis).requires_grad_(True), loss_resolutions(R)
wanted = discriminator.features(crops[0], sizes)
adam = torch.optim.Adam(tuned.parameters(), lr=2e-3, betas=(0.0, 0.99))
for _ in range(steps):
    with torch.no_grad():
        w = generator.mapping(torch.randn(1, generator.config.z_dim, generator=random))
        styles = mix_styles(reference_styles, generator.synthesis.styles(broadcast(w, generator.num_ws)), random_layers)
    found = discriminator.features(tuned.synthesize(styles, tuned.noise("random", 1, random)), sizes)
    loss = torch.stack([F.l1_loss(found[size], wanted[size]) for size in sizes]).mean()
    adam.zero_grad()
    loss.backward()
    adam.step()

# 4. Anybody's code, drawn by the copy.
with torch.no_grad():
    write_image(out_file, from_tensor(tuned.synthesize(face_styles, tuned.noise("const"))[0]), overwrite=True)
