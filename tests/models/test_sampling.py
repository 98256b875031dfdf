"""The one sampler: seeds -> z -> W+ -> images."""

import pytest
import torch

from mien.errors import InputError
from mien.latents import broadcast, truncate
from mien.models.sampling import codes_of_seeds, images_of, map_latents, random_codes, random_latents
from mien.runtime import seeded
from toys import tiny


def test_the_first_latents_of_a_seed_do_not_depend_on_how_many_are_drawn() -> None:
    g = tiny()
    assert torch.equal(random_latents(g, 9, 4)[:5], random_latents(g, 5, 4))
    assert torch.equal(random_latents(g, 2, seeded(4)), random_latents(g, 2, 4))
    assert not torch.equal(random_latents(g, 2, 5), random_latents(g, 2, 4))
    with pytest.raises(InputError):
        random_latents(g, 1, -1)


def test_codes_are_mapped_and_truncated() -> None:
    g = tiny()
    torch.nn.init.normal_(g.mapping.w_avg)
    z = random_latents(g, 3, 1)
    w = g.mapping(z)
    assert torch.equal(map_latents(g, z), broadcast(w, g.num_ws))
    torch.testing.assert_close(map_latents(g, z, 0.5), broadcast(truncate(w, g.mapping.w_avg, 0.5), g.num_ws))
    torch.testing.assert_close(map_latents(g, z, 0), broadcast(g.mapping.w_avg.expand(3, -1), g.num_ws))
    assert torch.equal(random_codes(g, 3, seed=1, psi=0.5), map_latents(g, z, 0.5))
    assert torch.equal(codes_of_seeds(g, [8, 1], psi=0.5)[1:], random_codes(g, 1, seed=1, psi=0.5))


@torch.no_grad()
def test_images_are_what_the_generator_draws_with_its_stored_noise() -> None:
    g = tiny()
    codes = random_codes(g, 5, seed=2)
    plain = torch.cat([g(code, g.synthesis.noise("const")) for code in torch.split(codes, 1)])
    torch.testing.assert_close(images_of(g.synthesis, codes, batch=2), plain)
    feature_code = torch.randn(5, g.config.channels(8), 8, 8)
    torch.testing.assert_close(
        images_of(g.synthesis, codes, feature_code, batch=3), g(codes, g.synthesis.noise("const"), feature_code=feature_code)
    )
    assert not torch.equal(images_of(g.synthesis, codes, feature_code), plain)
