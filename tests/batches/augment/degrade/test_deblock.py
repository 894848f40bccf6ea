"""The filter of block edges, against H.264's own text (8.7.2.4), a pixel at a time."""

import torch

from dfray.batches.augment.degrade.deblock import ALPHA, BETA, deblock


def filtered_line(line, qp):
    """One row of pixels, after the filter at each eighth."""
    result, alpha, beta = list(line), ALPHA[qp], BETA[qp]
    for edge in range(8, len(line), 8):
        p, q = line[edge - 1 : edge - 5 : -1], line[edge : edge + 4]
        gap = abs(p[0] - q[0])
        if gap >= alpha or abs(p[1] - p[0]) >= beta or abs(q[1] - q[0]) >= beta:
            continue
        for (n0, n1, n2, n3), far, step, start in ((p, q, -1, edge - 1), (q, p, 1, edge)):
            if abs(n2 - n0) < beta and gap < alpha / 4 + 2:
                result[start] = (n2 + 2 * n1 + 2 * n0 + 2 * far[0] + far[1]) / 8
                result[start + step] = (n2 + n1 + n0 + far[0]) / 4
                result[start + 2 * step] = (2 * n3 + 3 * n2 + n1 + n0 + far[0]) / 8
            else:
                result[start] = (2 * n1 + n0 + far[1]) / 4
    return result


def filtered_plane(plane, qp):
    across = torch.tensor([filtered_line(row, qp) for row in plane.tolist()])
    return torch.tensor([filtered_line(row, qp) for row in across.T.tolist()]).T


def test_each_plane_is_filtered_as_the_standard_says_by_its_own_qp():
    generator = torch.Generator().manual_seed(0)
    steps = torch.randint(0, 40, (6, 2, 4, 3), generator=generator).float()
    planes = steps.repeat_interleave(8, 2).repeat_interleave(8, 3)
    planes += torch.randint(0, 8, planes.shape, generator=generator)
    qps = [10, 20, 28, 36, 44, 51]
    changed = deblock(planes, torch.tensor(qps))
    for image, qp in enumerate(qps):
        for channel in range(2):
            expected = filtered_plane(planes[image, channel], qp)
            torch.testing.assert_close(changed[image, channel], expected, rtol=0, atol=1e-3)
    touched = (changed != planes).flatten(1).any(1).tolist()
    assert not touched[0], "no filter below QP 16"
    assert all(touched[2:])


def test_the_input_is_left_alone():
    planes = torch.rand(1, 1, 16, 16) * 8
    before = planes.clone()
    changed = deblock(planes, torch.tensor([40]))
    assert torch.equal(planes, before)
    assert not torch.equal(changed, planes)
