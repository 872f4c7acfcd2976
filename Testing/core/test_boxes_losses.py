"""Losses of segmentation from boxes alone: their signs, zeros and gradients, and plain loops that say the same."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from SparseToPreciseLib.boxes.intensities import FILLED_SHARE, object_probabilities  # noqa: E402
from SparseToPreciseLib.boxes.segmenter import losses  # noqa: E402

T = 5.0


def ellipse(box, shape=(24, 30)) -> torch.Tensor:
    (top, bottom), (left, right) = box
    rows, columns = (torch.arange(n) + 0.5 for n in shape)
    r = (rows - (top + bottom) / 2) / ((bottom - top) / 2)
    c = (columns - (left + right) / 2) / ((right - left) / 2)
    return (r[:, None] ** 2 + c**2 <= 1).float()[None, None]


BOX = ((4, 18), (6, 25))
BOXES = torch.tensor([BOX])
SEVERAL = torch.tensor([BOX, ((0, 24), (0, 30)), ((9, 11), (3, 26)), ((5, 5), (7, 7)), ((22, 24), (28, 30))])

INSIDE, SEVERAL_INSIDE = (losses.box_masks(boxes, (24, 30)) for boxes in (BOXES, SEVERAL))


def barrier(z: float, t: float) -> float:
    return -math.log(-z) / t if z <= -1 / t**2 else t * z - math.log(1 / t**2) / t + 1 / t


@pytest.mark.parametrize("t", [5.0, 20.0])
@pytest.mark.parametrize("z", [-1.0, -0.5, -0.041, -0.04, -0.039, 0.0, 0.3, 2.0])
def test_the_barrier_is_the_formula(z: float, t: float):
    found = losses.log_barrier(torch.tensor([z], dtype=torch.float64), t)
    assert float(found) == pytest.approx(barrier(z, t), rel=1e-9, abs=1e-12)


def test_the_barrier_is_zero_at_one_rises_and_has_a_gradient_everywhere():
    z = torch.linspace(-1, 2, 301, dtype=torch.float64, requires_grad=True)
    values = losses.log_barrier(z, T)
    values.sum().backward()
    assert float(values[0].detach()) == pytest.approx(0, abs=1e-12)
    assert (values[1:] > values[:-1]).all() and torch.isfinite(z.grad).all() and (z.grad > 0).all()
    # The two branches meet with the same slope.
    assert float(z.grad.max()) == pytest.approx(T)


def test_a_satisfied_constraint_costs_less_and_less_and_a_violated_one_more_and_more():
    assert losses.temperature(0) == 5 and losses.temperature(1) == pytest.approx(5.5)
    cold, hot = losses.temperature(0), losses.temperature(20)
    z = torch.tensor([-0.3, 0.3])
    (kept, broken), (kept_later, broken_later) = losses.log_barrier(z, cold), losses.log_barrier(z, hot)
    assert kept > kept_later > 0 and broken_later > broken > 0


# ------------------------------------------------------------------------------------------------ tightness


def tightness_in_loops(probabilities, boxes, t, stripe) -> float:
    barriers = []
    for image, (rows, columns) in zip(probabilities[:, 0].tolist(), boxes.tolist(), strict=True):
        for across, along, pixel in (
            (rows, columns, lambda a, b, image=image: image[a][b]),
            (columns, rows, lambda a, b, image=image: image[b][a]),
        ):
            width, length = min(stripe, across[1] - across[0]), along[1] - along[0]
            if not width or not length:
                continue
            for start in range(across[0], across[1] - width + 1):
                total = sum(pixel(a, b) for a in range(start, start + width) for b in range(*along))
                barriers.append(barrier((width - total) / (width * length), t))
    return sum(barriers) / max(len(barriers), 1)


@pytest.mark.parametrize("stripe", [1, 3, 5])
def test_tightness_is_what_plain_loops_say(stripe: int):
    probabilities = torch.rand((5, 1, 24, 30), generator=torch.Generator().manual_seed(3), dtype=torch.float64) * 0.2
    found = losses.tightness(probabilities, SEVERAL, T, stripe)
    assert float(found) == pytest.approx(tightness_in_loops(probabilities, SEVERAL, T, stripe), rel=1e-6)


def test_tightness_is_zero_for_a_full_box_and_positive_for_an_empty_one():
    full = losses.box_masks(BOXES, (24, 30))
    # z is -1 + 1 / length there: as near to the zero of the barrier as a constraint of at least one pixel comes.
    assert 0 < losses.tightness(full, BOXES, T) < 0.02
    empty = losses.tightness(0 * full, BOXES, T)
    assert empty > 0.5 and empty > losses.tightness(ellipse(BOX), BOXES, T)


@pytest.mark.parametrize("side", range(4))
def test_tightness_notices_one_stripe_without_object_on_every_side(side: int):
    touching = losses.box_masks(BOXES, (24, 30))
    short = touching.clone()
    (top, bottom), (left, right) = BOX
    rows = (slice(top, top + 5), slice(bottom - 5, bottom), slice(None), slice(None))[side]
    columns = (slice(None), slice(None), slice(left, left + 5), slice(right - 5, right))[side]
    short[..., rows, columns] = 0
    assert losses.tightness(short, BOXES, T) > losses.tightness(touching, BOXES, T) + 0.01
    short.requires_grad_(True)
    losses.tightness(short, BOXES, T).backward()
    # More object inside lowers the loss, most of all there; outside it changes nothing.
    gradient = short.grad[0, 0]
    inside = touching[0, 0] > 0
    assert (gradient[inside] < 0).all() and (gradient[~inside] == 0).all()
    there = torch.zeros_like(inside)
    there[rows, columns] = True
    assert -gradient[there & inside].mean() > -2 * gradient[inside & ~there].mean()


def test_slices_without_object_have_no_stripes():
    nothing = torch.tensor([[[5, 5], [7, 7]]])
    probabilities = torch.rand((1, 1, 24, 30), requires_grad=True)
    assert losses.tightness(probabilities, nothing, T) == 0 and losses.size(probabilities, nothing, T) == 0


# ------------------------------------------------------------------------------------------------ emptiness


def test_emptiness_is_what_plain_loops_say():
    probabilities = torch.rand((5, 1, 24, 30), generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    outside = []
    for image, (rows, columns) in zip(probabilities[:, 0].tolist(), SEVERAL.tolist(), strict=True):
        for row in range(24):
            for column in range(30):
                if not (rows[0] <= row < rows[1] and columns[0] <= column < columns[1]):
                    outside.append(-math.log(1 - image[row][column]))
    found = losses.emptiness(probabilities, SEVERAL_INSIDE)
    assert float(found) == pytest.approx(sum(outside) / len(outside), rel=1e-6)


def test_emptiness_is_zero_without_outside_mass_and_falls_when_it_falls():
    assert losses.emptiness(INSIDE, INSIDE) == 0
    more, less = (losses.emptiness(INSIDE.clamp(min=mass), INSIDE) for mass in (0.4, 0.1))
    assert more > less > 0
    assert torch.isfinite(losses.emptiness(torch.ones_like(INSIDE), INSIDE))


def test_emptiness_pushes_down_outside_and_nowhere_else():
    inside = INSIDE[0, 0] > 0
    probabilities = torch.full((1, 1, 24, 30), 0.3, requires_grad=True)
    losses.emptiness(probabilities, INSIDE).backward()
    gradient = probabilities.grad[0, 0]
    assert (gradient[~inside] > 0).all() and (gradient[inside] == 0).all()


def test_a_slice_without_object_is_all_outside():
    nothing = losses.box_masks(torch.tensor([[[0, 0], [0, 0]]]), (24, 30))
    there = ellipse(BOX) * 0.5
    assert losses.emptiness(there, nothing) > losses.emptiness(there, INSIDE) == 0


# ------------------------------------------------------------------------------------------------ size


def test_size_is_what_plain_loops_say():
    probabilities = torch.rand((5, 1, 24, 30), generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    expected = []
    for image, (rows, columns) in zip(probabilities[:, 0].tolist(), SEVERAL.tolist(), strict=True):
        area = (rows[1] - rows[0]) * (columns[1] - columns[0])
        if area:
            share = sum(image[r][c] for r in range(*rows) for c in range(*columns)) / area
            expected.append(barrier(0.5 - share, T) + barrier(share - 0.9, T))
    found = losses.size(probabilities, SEVERAL, T)
    assert float(found) == pytest.approx(sum(expected) / len(expected), rel=1e-6)


def test_size_is_least_between_its_bounds_and_pushes_back_to_them():
    inside = losses.box_masks(BOXES, (24, 30))
    losses_of = {share: float(losses.size(inside * share, BOXES, T)) for share in (0.1, 0.5, 0.7, 0.9, 1.0)}
    assert losses_of[0.7] < losses_of[0.5] < losses_of[0.1] and losses_of[0.7] < losses_of[0.9] < losses_of[1.0]
    assert losses_of[0.5] == pytest.approx(losses_of[0.9], rel=1e-4)
    for share, sign in ((0.2, -1), (1.0, 1)):
        probabilities = (inside * share).requires_grad_(True)
        losses.size(probabilities, BOXES, T).backward()
        assert (probabilities.grad[inside > 0].sign() == sign).all()
        assert (probabilities.grad[inside == 0] == 0).all()


def test_size_vanishes_within_its_bounds_as_the_temperature_grows():
    at = losses.box_masks(BOXES, (24, 30)) * 0.7
    assert float(losses.size(at, BOXES, 1e4)) == pytest.approx(0, abs=1e-3)


# ------------------------------------------------------------------------------------------------ pairwise


def pairwise_in_loops(logits, image, boxes, tolerance, step) -> float:
    total = count = 0.0
    height, width = logits.shape[-2:]
    inside = losses.box_masks(boxes, (height, width))[:, 0].tolist()
    for number, values in enumerate(torch.sigmoid(logits[:, 0]).tolist()):
        for row in range(height):
            for column in range(width):
                for down, right in ((step, 0), (0, step), (step, step), (step, -step)):
                    r, c = row + down, column + right
                    if r >= height or not 0 <= c < width or not (inside[number][row][column] or inside[number][r][c]):
                        continue
                    p, q = values[row][column], values[r][c]
                    squared = float((image[number, :, row, column] - image[number, :, r, c]).square().sum())
                    weight = math.exp(-squared / tolerance**2)
                    total -= weight * math.log(p * q + (1 - p) * (1 - q))
                    count += weight
    return total / max(count, 1)


def test_pairwise_is_what_plain_loops_say():
    generator = torch.Generator().manual_seed(6)
    logits = torch.randn((2, 1, 9, 11), generator=generator, dtype=torch.float64)
    image = torch.randn((2, 2, 9, 11), generator=generator, dtype=torch.float64)
    boxes = torch.tensor([[[2, 6], [3, 8]], [[0, 9], [0, 2]]])
    found = losses.pairwise(logits, image, boxes, 1.5, step=2)
    assert float(found) == pytest.approx(pairwise_in_loops(logits, image, boxes, 1.5, 2), rel=1e-6)


def test_pairwise_prefers_the_edge_of_the_image_to_any_other_boundary():
    truth = ellipse(BOX)
    image = truth * 2
    moved = torch.roll(truth, 3, dims=3)
    sure = 20.0
    right, wrong = (losses.pairwise((mask * 2 - 1) * sure, image, BOXES, 0.3) for mask in (truth, moved))
    assert float(right) == pytest.approx(0, abs=1e-6) and wrong > right
    undecided = losses.pairwise(torch.zeros_like(truth), image, BOXES, 0.3)
    assert float(undecided) == pytest.approx(math.log(2), rel=1e-5)


def test_all_losses_together_find_an_object_from_its_box():
    """Free logits, no network: box and image alone give back an ellipse that the box does not tell from others."""
    truth = ellipse(BOX)
    generator = torch.Generator().manual_seed(7)
    image = truth + 0.05 * torch.randn(truth.shape, generator=generator)
    logits = (0.1 * torch.randn(truth.shape, generator=generator)).requires_grad_(True)
    optimizer = torch.optim.Adam([logits], lr=0.2)
    for step in range(150):
        t = losses.temperature(step / 10)
        probabilities = torch.sigmoid(logits)
        loss = losses.tightness(probabilities, BOXES, t) + losses.emptiness(probabilities, INSIDE)
        loss = loss + losses.size(probabilities, BOXES, t) + losses.pairwise(logits, image, BOXES, 0.3)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    found = logits.detach() > 0
    dice = 2 * float((found & (truth > 0)).sum()) / float(found.sum() + truth.sum())
    assert dice > 0.97


# ------------------------------------------------------------------------------------------------ intensity


def intensity_in_loops(logits, chances, boxes) -> float:
    total = weights = 0.0
    inside = losses.box_masks(boxes, logits.shape[-2:])[:, 0].tolist()
    for number, values in enumerate(torch.sigmoid(logits[:, 0]).tolist()):
        for row, line in enumerate(values):
            for column, p in enumerate(line):
                c, within = float(chances[number, 0, row, column]), inside[number][row][column]
                least = -sum(one * math.log(one) for one in (c, 1 - c) if one)
                weight = abs(2 * c - 1) * within
                total += weight * (-c * math.log(p) - (1 - c) * math.log(1 - p) - least)
                weights += weight
    return total / max(weights, 1)


def test_intensity_is_what_plain_loops_say():
    generator = torch.Generator().manual_seed(8)
    logits = torch.randn((5, 1, 24, 30), generator=generator, dtype=torch.float64)
    chances = torch.rand((5, 1, 24, 30), generator=generator, dtype=torch.float64)
    found = losses.intensity(logits, chances, SEVERAL_INSIDE)
    assert float(found) == pytest.approx(intensity_in_loops(logits, chances, SEVERAL), rel=1e-6)


def test_intensity_is_zero_where_the_answer_is_the_chance_and_positive_elsewhere():
    chances = torch.where(ellipse(BOX) > 0, 0.9, 0.2)
    answer = torch.logit(chances).requires_grad_(True)
    right = losses.intensity(answer, chances, INSIDE)
    right.backward()
    assert float(right.detach()) == pytest.approx(0, abs=1e-6) and answer.grad.abs().max() < 1e-6
    assert losses.intensity(-answer.detach(), chances, INSIDE) > 0.5


def test_intensity_pulls_towards_the_chances_inside_the_boxes_and_nowhere_else():
    truth, inside = ellipse(BOX)[0, 0] > 0, INSIDE[0, 0] > 0
    logits = torch.zeros((1, 1, 24, 30), requires_grad=True)
    losses.intensity(logits, torch.where(truth, 0.9, 0.2)[None, None], INSIDE).backward()
    gradient = logits.grad[0, 0]
    assert (gradient[inside & truth] < 0).all() and (gradient[inside & ~truth] > 0).all()
    assert (gradient[~inside] == 0).all()
    # A chance of a half says nothing.
    assert losses.intensity(logits + 3, torch.full((1, 1, 24, 30), 0.5), INSIDE) == 0


def test_chances_follow_from_intensities_within_and_outside_boxes():
    rng = np.random.default_rng(9)
    inside = np.zeros((12, 24, 30), bool)
    inside[2:10, 4:18, 6:25] = True
    truth = np.repeat(ellipse(BOX)[0].numpy() > 0, 12, axis=0) & inside
    values = np.where(truth, 0.6, -0.6) + 0.1 * rng.standard_normal(truth.shape)
    chances = object_probabilities(np.clip(values, -1, 1).astype(np.float32), inside)
    assert chances.min() > 0 and chances.max() < 1
    found = (chances > 0.5) & inside
    dice, of_the_boxes = (2 * (one & truth).sum() / (one.sum() + truth.sum()) for one in (found, inside))
    assert dice > 0.92 > of_the_boxes


@pytest.mark.parametrize("inside", [False, True])
def test_chances_are_the_usual_share_where_boxes_say_nothing(inside: bool):
    chances = object_probabilities(np.zeros((3, 4, 5), np.float32), np.full((3, 4, 5), inside))
    assert chances.shape == (3, 4, 5) and (chances == np.float32(FILLED_SHARE)).all()
