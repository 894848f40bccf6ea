"""Gathering over one process; two real ones are in tests/training/test_two_workers.py."""

import torch
import torch.distributed as dist

from dfray.losses.gather import gather


def test_is_the_identity_outside_torch_distributed():
    local = torch.ones(2, 3, requires_grad=True)
    assert gather(local) is local


def test_one_worker_gathers_what_it_holds_with_its_gradient(tmp_path, monkeypatch):
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    dist.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/rendezvous", rank=0, world_size=1
    )
    try:
        local = torch.arange(6.0).view(2, 3).requires_grad_()
        whole = gather(local)
        (whole**2).sum().backward()
        labels = gather(torch.tensor([3, 4]))
    finally:
        dist.destroy_process_group()
    assert torch.equal(whole, local)
    assert torch.equal(local.grad, 2 * local)
    assert labels.tolist() == [3, 4]
