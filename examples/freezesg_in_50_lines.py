"""FreezeSG with structure loss (Back 2021) on the pieces of mien: python freezesg_in_50_lines.py CARTOONS OUT [STEPS]"""

import copy
import sys
from pathlib import Path

import torch

from mien.checkpoint import load_model
from mien.faces.align import extract
from mien.faces.config import AlignConfig
from mien.faces.locate import locate
from mien.latents import broadcast
from mien.losses.adversarial import discriminator_loss, generator_loss, r1_penalty
from mien.losses.structure import structure_loss
from mien.media.images import from_tensor, read_image, write_image
from mien.shipped import EMBEDDED_MODEL

folder, out_file, steps = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 2000
random, batch = torch.Generator().manual_seed(0), 4
# 1. The source knows faces of photos. Target and discriminator begin as copies, and learn from aligned square cartoons.
source_model = load_model(EMBEDDED_MODEL)
source, discriminator = source_model.generator.requires_grad_(False), source_model.discriminator.requires_grad_(True)
target = copy.deepcopy(source).requires_grad_(True)
images = [read_image(file).rgb() for file in sorted(folder.iterdir())]
cartoons = torch.stack([extract(p, locate(p, AlignConfig(aligned=True))[0], source_model.resolution)[0] for p in images])

# 2. What keeps its weights: the generator's blocks of shape (FreezeG), the discriminator's of texture (FreezeD).
shape, texture = source.synthesis.resolutions[:2], discriminator.resolutions[:2]
for block in (*map(target.synthesis.block, shape), *map(discriminator.block, texture), discriminator.fromrgb):
    block.requires_grad_(False)
trained = [[p for p in network.parameters() if p.requires_grad] for network in (target, discriminator)]
optimizers = [torch.optim.Adam(parameters, lr=2e-3, betas=(0.0, 0.99)) for parameters in trained]

# 3. The adversarial game, but W+ rows of shape come from the source's mapping (FreezeSG), and low layers stay near its own.
for step in range(steps):
    z, noise = torch.randn(batch, source.config.z_dim, generator=random), target.synthesis.noise("random", batch, random)
    source_codes, own_codes = (broadcast(g.mapping(z), g.num_ws) for g in (source, target))
    codes = torch.cat([source_codes[:, : 2 * len(shape) - 1], own_codes[:, 2 * len(shape) - 1 :]], dim=1)
    fakes, reals = target(codes, noise), cartoons[torch.randint(len(cartoons), (batch,), generator=random)].requires_grad_()
    structure = structure_loss(source.synthesis, target.synthesis, source_codes, source_codes, noise, (8, 16, 32))
    logits, fake_logits = discriminator(reals), discriminator(fakes.detach())
    penalty = 16 * 10 / 2 * r1_penalty(logits, reals) if step % 16 == 0 else 0.0
    losses = generator_loss(discriminator(fakes)) + structure, discriminator_loss(logits, fake_logits) + penalty
    for parameters, optimizer, loss in zip(trained, optimizers, losses, strict=True):
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.grad = gradient
        optimizer.step()
pairs = torch.cat([g(source_codes, noise).detach() for g in (source, target)], dim=2)  # a face, and below it its cartoon
write_image(out_file, from_tensor(torch.cat(list(pairs), dim=2)), overwrite=True)
